"""The spool: what goes in comes out, in order, whoever dies in between."""

import os
from pathlib import Path

import pytest

from bot.call import Call
from bot.record import Entry, LedgerError, Line
from bot.spool import Spool
from bot.writings import Answered, Begin, Note, Outcome, Said, Step, Talked, Writing, dump, read

CALL = Call("CA1", "+12025550199", "+12025550100", 5.0)
ENTRY = Entry(5.0, "CallAnswered", {}, "connecting", True)


def line(number: int, sid: str = "CA1") -> Said:
    return Said(sid, Line(1, float(number), "caller", f"line {number} – „ja“ \n\r\u2028"))


def drained(spool: Spool) -> list[Writing]:
    """Everything, as if each was shipped."""
    found: list[Writing] = []
    while (writing := spool.first()) is not None:
        found.append(writing)
        spool.shipped(writing)
    return found


@pytest.mark.parametrize(
    "writing",
    [
        Begin(CALL, ENTRY),
        Step(CALL, 3, ENTRY, after="a"),
        Note("CA1", ENTRY),
        line(1),
        Talked("CA1", 2, [{"role": "user", "content": None}]),
        Answered("CA1", "/twilio/voice 1", "<Response/>"),
    ],
    ids=lambda writing: writing.kind,
)
def test_a_writing_survives_the_file(writing: Writing):
    assert read(dump(writing)) == writing
    assert dump(writing).count(b"\n") == 1


def test_writings_come_out_as_they_went_in_and_leave_no_file(tmp_path: Path):
    spool = Spool(tmp_path)
    written = [line(number, f"CA{number % 3}") for number in range(100)]
    for writing in written:
        assert spool.append(writing, sync=False) is Outcome.WRITTEN
    assert (len(spool), spool.holds("CA2"), spool.holds("CA3")) == (100, True, False)
    assert drained(spool) == written
    assert (len(spool), spool.holds("CA2")) == (0, False)
    assert os.listdir(tmp_path) == []
    spool.close()


def test_a_step_is_compared_with_the_one_before_it_in_the_spool(tmp_path: Path):
    spool = Spool(tmp_path)
    first, second = Step(CALL, 7, ENTRY), Step(CALL, 8, ENTRY)
    assert spool.append(first, sync=True) is Outcome.WRITTEN
    assert spool.append(Step(CALL, 7, ENTRY), sync=True) is Outcome.OUTRUN
    assert spool.append(Begin(CALL, ENTRY), sync=True) is Outcome.OUTRUN
    assert spool.append(second, sync=True) is Outcome.WRITTEN
    stored = spool.load("CA1")
    assert stored is not None
    assert stored.version == 9
    shipped = [writing for writing in drained(spool) if isinstance(writing, Step)]
    assert [(writing.uid, writing.after) for writing in shipped] == [(first.uid, None), (second.uid, first.uid)]
    spool.close()


def test_the_next_process_takes_over_what_one_left_and_ships_it_first(tmp_path: Path):
    earlier = Spool(tmp_path)
    left = [Begin(CALL, ENTRY), line(1), Talked("CA1", 1, [{"role": "user"}])]
    for writing in left:
        earlier.append(writing, sync=True)
    earlier.close()
    later = Spool(tmp_path)
    stored = later.load("CA1")
    assert stored is not None
    assert (stored.call, stored.version, stored.conversation) == (CALL, 1, [{"role": "user"}])
    own = line(2)
    later.append(own, sync=False)
    assert drained(later) == [*left, own]
    later.close()


def test_what_was_shipped_and_not_removed_comes_once_more(tmp_path: Path):
    earlier = Spool(tmp_path)
    written = [line(number) for number in range(3)]
    for writing in written:
        earlier.append(writing, sync=False)
    earlier.shipped(written[0])
    earlier.close()
    later = Spool(tmp_path)
    assert drained(later) == written
    later.close()


def test_a_file_whose_owner_lives_is_left_alone(tmp_path: Path):
    owner, other = Spool(tmp_path), Spool(tmp_path)
    owner.append(line(1), sync=False)
    other.append(line(2), sync=False)
    third = Spool(tmp_path)
    assert len(third) == 0
    assert [len(drained(spool)) for spool in (owner, other, third)] == [1, 1, 0]
    for spool in (owner, other, third):
        spool.close()


def test_a_line_that_was_cut_off_is_dropped_and_one_that_is_damaged_is_set_aside(tmp_path: Path):
    first, last = line(1), line(2)
    (tmp_path / "00000001.jsonl").write_bytes(dump(first) + b'{"kind": "rubbish"}\n' + dump(last) + dump(first)[:-9])
    spool = Spool(tmp_path)
    assert drained(spool) == [first, last]
    spool.close()
    assert (tmp_path / "refused.jsonl").read_bytes() == b'{"kind": "rubbish"}\n'
    assert os.listdir(tmp_path) == ["refused.jsonl"]


def test_what_the_database_refuses_is_set_aside(tmp_path: Path):
    spool = Spool(tmp_path)
    spool.append(line(1), sync=False)
    writing = spool.first()
    assert writing is not None
    spool.refused(writing)
    assert spool.first() is None
    spool.close()
    assert read((tmp_path / "refused.jsonl").read_bytes()) == writing


def test_a_folder_that_cannot_be_one_is_told(tmp_path: Path):
    (tmp_path / "spool").write_text("")
    with pytest.raises(LedgerError, match="cannot be used: File exists"):
        Spool(tmp_path / "spool")


def test_a_folder_that_the_operator_made_stays(tmp_path: Path):
    Spool(tmp_path).close()
    assert tmp_path.is_dir()
