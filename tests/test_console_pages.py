"""What the console's pages are made of: lanes, figures, words, patches. Everything said is text, never markup."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from calls import CALLER, POLICY, SID, US, call_in

from bot.call import Attempt, By, Call, End, Handoff, Outcome, Phase
from bot.falls import Fall, Rung
from bot.record import Entry, Line, Record, Stored
from web.console.access import Role
from web.console.export import as_csv, detail
from web.console.figures import Summary, day, percentile
from web.console.live.board import Card
from web.console.live.lanes import draw
from web.console.live.page import Piece, patch, whole
from web.console.render import Renderer
from web.console.words import duration, mask, mask_number, words

AT = 1_700_000_000.0
PIECE = Renderer(lambda called: POLICY).piece

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea></title></svg><script>1</script>",
    "🙂 \u202eright to left\u202c مرحبا",
    "{{ 7 * 7 }} {% raw %} FORM-TOKEN",
    "x" * 100_000,
    "\0\x01\x1b[31m &amp; \ud800",
]


class Elements(HTMLParser):
    """Counts elements and attributes, and gathers the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def call(**changes: object) -> Call:
    return replace(Call(SID, CALLER, US, AT), **changes)  # type: ignore[arg-type]


def record(call: Call, journal: list[Entry] | None = None, lines: list[Line] | None = None) -> Record:
    return Record(Stored(call, 1), journal or [], lines or [])


def spoke(who: str, since: float, until: float, **more: object) -> Entry:
    return Entry(AT + until, "Spoke", {"who": who, "since": AT + since, **more}, "bot", False)


def phase(name: str, at: float) -> Entry:
    return Entry(AT + at, "Something", {}, name, True)


# --- text is text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("role", Role)
def test_whatever_is_said_is_text_on_every_piece_of_a_page(text: str, role: Role):
    text = text.encode("utf-8", "replace").decode()
    hostile = call(
        caller=text,
        called=text,
        phase=Phase.RINGING,
        handoffs=(Handoff(text, text, text, By.MODEL, AT + 1),),
        attempts=(Attempt(text, text, AT + 2),),
        falls=(Fall(Rung.PERSON, AT + 1, text),),
    )
    plain = call(
        phase=Phase.RINGING,
        handoffs=(Handoff("desk", "why", "what", By.MODEL, AT + 1),),
        attempts=(Attempt("desk", CALLER, AT + 2),),
        falls=(Fall(Rung.PERSON, AT + 1, "why"),),
    )
    render = PIECE

    def pieces(call: Call, text: str) -> list[str]:
        line = Line(1, AT, "caller", text)
        entry = Entry(AT, "ModelLost", {"fault": text, "nested": {"more": [text]}}, "bot", True)
        lanes = draw(record(call, [entry], [Line(1, AT, "tool", f"{text}(…)")]), AT + 9)
        return [
            render("head", call=call, speaks="bot", role=role),
            render("attempts", call=call, role=role),
            render("row", card=Card(call, AT), role=role),
            render("recent", calls=[replace(call, end=End.UNANSWERED, ended_at=AT + 3)], role=role),
            render("line", line=line, key="k", role=role),
            render("entry", entry=entry, key="k", role=role),
            render("lanes", lanes=lanes, live=True),
        ]

    for with_text, without in zip(pieces(hostile, text), pieces(plain, "words"), strict=True):
        found, expected = Elements(with_text), Elements(without)
        assert (found.names, found.attributes) == (expected.names, expected.attributes)


def test_a_hundred_kilobytes_are_shown_whole_and_in_their_direction():
    text = "مرحبا " * 20_000
    line = PIECE("line", line=Line(1, AT, "caller", text), key="k", role=Role.SUPERVISOR)
    assert text in Elements(line).text
    assert '<p dir="auto">' in line


@pytest.mark.parametrize("text", HOSTILE[:5], ids=range(5))
def test_no_cell_of_a_spreadsheet_is_a_formula(text: str):
    for start in ("=", "+", "-", "@", "\t"):
        row = as_csv([call(called=f"{start}{text}")], Role.SUPERVISOR)
        assert f"'{start}" in row
    assert CALLER in as_csv([call()], Role.SUPERVISOR)
    assert f"'{CALLER}" not in as_csv([call()], Role.SUPERVISOR)


# --- what viewers do not see ----------------------------------------------------------------------------


def test_numbers_addresses_and_the_like_are_masked_for_viewers():
    assert mask_number("+442079460123") == "••• 123"
    assert mask_number("anonymous") == "anonymous"
    said = "It is order 1042, call +44 20 7946 0123 or ann.lee@example.com, two of them"
    assert mask(said) == "It is order •••, call ••• or •••, two of them"


def test_a_viewer_s_files_hold_no_personal_data_either():
    told = call(
        attempts=(
            Attempt(
                "desk",
                "+442079460101,+442079460102",
                AT,
                answered_by="+442079460103",
                why="ring 0800 555",
                message="on 0666",
            ),
        ),
        handoffs=(Handoff("desk", "card 4111 1111 1111 1111", "ann@example.com", By.MODEL, AT),),
    )
    entry = Entry(AT, "HintGiven", {"text": "ring 020 7946 0999", "who": "Ann"}, "bot", False)
    kept = record(told, [entry], [Line(1, AT, "caller", "My number is 07700 900123")])
    seen, masked = detail(kept, Role.SUPERVISOR), detail(kept, Role.VIEWER)
    for secret in ("+442079460100", "0101", "0103", "0800", "0666", "4111", "ann@example.com", "0999", "900123"):
        assert secret in seen
        assert secret not in masked
    shown = PIECE("attempts", call=told, role=Role.VIEWER)
    assert not any(secret in shown for secret in ("0101", "0103", "0800", "0666", "4111", "ann@"))
    assert {key: json.loads(masked)[key] for key in ("call_sid", "started_at")} == {
        key: json.loads(seen)[key] for key in ("call_sid", "started_at")
    }
    assert "0100" not in as_csv([told], Role.VIEWER).replace(SID, "").replace(US, "")


# --- lanes --------------------------------------------------------------------------------------------


def test_the_lanes_show_speech_silence_ringing_and_the_conversation():
    attempt = Attempt("desk", CALLER, AT + 20, AT + 24, AT + 25, False, AT + 40, Outcome.ANSWERED)
    over = call(phase=Phase.ENDED, end=End.PUT_THROUGH, ended_at=AT + 40, attempts=(attempt,))
    journal = [
        phase("bot", 1),
        spoke("bot", 1, 4),
        spoke("caller", 5, 8),
        spoke("bot", 14, 18, response_ms=6000),
        phase("leaving", 18),
        phase("ringing", 20),
        phase("person", 25),
        phase("ended", 40),
    ]
    lanes = draw(record(over, journal), AT + 1000)
    by_name = {lane.name: lane.bars for lane in lanes.lanes}
    assert [bar.label for bar in by_name["Phase"]] == [
        "connecting", "with the bot", "saying goodbye", "ringing", "with a person",
    ]  # fmt: skip
    assert len(by_name["Caller"]) == 1
    silences = [bar for bar in by_name["Bot"] if bar.kind == "silence"]
    assert [bar.label for bar in silences] == ["6.0 s"]
    assert [bar.kind for bar in by_name["Person"]] == ["ringing", "asked", "talk"]
    assert [bar.label for bar in by_name["Person"]] == ["", "picked up", "answered"]
    pixels = lanes.pixels_per_second
    assert by_name["Person"][2].x == pytest.approx(25 * pixels, abs=0.2)
    assert by_name["Person"][2].width == pytest.approx(15 * pixels, abs=0.3)


def test_who_picked_up_and_did_not_take_the_call_is_not_drawn_as_with_the_caller():
    declined = Attempt("desk", CALLER, AT + 20, AT + 24, None, True, AT + 30, Outcome.DECLINED)
    attended = Attempt("desk", CALLER, AT + 30, AT + 34, AT + 36, attended=True)
    with_bot = call(phase=Phase.BOT, attempts=(declined, attended))
    person = draw(record(with_bot, [phase("bot", 1)]), AT + 40).lanes[3]
    assert [bar.kind for bar in person.bars] == ["ringing", "asked", "ringing", "asked"]
    assert "declined" in person.bars[1].title
    together = replace(with_bot, attempts=(replace(attended, bridged_at=AT + 38),))
    person = draw(record(together, [phase("bot", 1)]), AT + 40).lanes[3]
    assert [bar.kind for bar in person.bars] == ["ringing", "asked", "talk"]


def test_who_is_speaking_now_is_drawn_and_is_no_silence():
    kept = record(call(phase=Phase.BOT), [phase("bot", 1), spoke("caller", 2, 3)])
    assert [bar.kind for bar in draw(kept, AT + 10).lanes[2].bars] == ["silence"]
    drawn = draw(kept, AT + 10, {"bot": AT + 4})
    assert [bar.kind for bar in drawn.lanes[2].bars] == ["speech"]
    assert drawn.lanes[2].bars[0].width == pytest.approx(0.6 * drawn.width, abs=1)
    over = record(call(phase=Phase.ENDED, end=End.CALLER_HUNG_UP, ended_at=AT + 10), kept.journal)
    assert draw(over, AT + 99, {"bot": AT + 4}).lanes[2].bars == draw(over, AT + 10).lanes[2].bars


def test_how_long_each_answer_took_is_shown_turn_by_turn():
    journal = [spoke("bot", 2, 3, response_ms=340), spoke("bot", 6, 8, response_ms=2120)]
    numbers = PIECE("numbers", record=record(call(), journal), role=Role.VIEWER)
    assert Elements(numbers).names.count("meter") == 2
    assert "0.34 s" in numbers
    assert "2.12 s" in numbers
    assert "Latency per turn" not in PIECE("numbers", record=record(call()), role=Role.VIEWER)


def test_a_call_that_goes_on_is_drawn_up_to_now():
    live = call(phase=Phase.RINGING, attempts=(Attempt("desk", CALLER, AT + 5),))
    lanes = draw(record(live, [phase("ringing", 5)]), AT + 50)
    [ringing] = [bar for lane in lanes.lanes if lane.name == "Person" for bar in lane.bars]
    assert ringing.x + ringing.width == pytest.approx(lanes.width, abs=1)


def test_a_phase_an_outcome_and_an_event_that_nobody_here_knows_are_drawn_under_their_names():
    journal = [phase("juggling_swords", 3), Entry(AT + 4, "SwordDropped", {}, "juggling_swords", False)]
    lanes = draw(record(call(phase=Phase.BOT), journal), AT + 60)
    [_, bar] = lanes.lanes[0].bars
    assert bar.label == "juggling swords"
    assert words("fell_asleep") == "fell asleep"
    entry = PIECE("entry", entry=journal[1], key="k", role=Role.SUPERVISOR)
    assert "sword dropped" in entry


@pytest.mark.parametrize("each", Phase)
def test_a_call_in_every_phase_has_a_page(each: Phase):
    kept = record(call_in(each))
    render = PIECE
    for name, what in (
        ("head", {"speaks": ""}),
        ("acts", {}),
        ("attempts", {}),
        ("row", {"card": Card(kept.stored.call, AT)}),
    ):
        assert render(name, **({"call": kept.stored.call} if name != "row" else {}), role=Role.SUPERVISOR, **what)
    assert draw(kept, AT).lanes
    assert render("numbers", record=kept, role=Role.VIEWER)


def test_only_a_supervisor_has_something_to_press_and_only_with_the_bot_it_can_be_pressed():
    render = PIECE
    with_bot, ringing = call(phase=Phase.BOT), call(phase=Phase.RINGING)
    assert "disabled" not in render("acts", call=with_bot, role=Role.SUPERVISOR)
    assert "disabled" in render("acts", call=ringing, role=Role.SUPERVISOR)
    assert "button" not in Elements(render("acts", call=with_bot, role=Role.VIEWER)).names


def test_the_next_caller_of_a_queue_can_be_taken_by_its_people():
    waits = call(phase=Phase.QUEUED, attempts=(Attempt("support", "queue:support", AT),))
    page = PIECE("acts", call=waits, role=Role.SUPERVISOR)
    assert '<option value="+442079460108">' in page
    assert "/take" in page
    assert "/take" not in PIECE("acts", call=call(phase=Phase.BOT), role=Role.SUPERVISOR)
    assert "/take" not in PIECE("acts", call=waits, role=Role.VIEWER)


# --- figures --------------------------------------------------------------------------------------------


def test_a_day_is_added_up_from_its_calls():
    through = call(
        handoffs=(Handoff("desk", "", "", By.MODEL, AT + 10),),
        attempts=(
            Attempt("desk", CALLER, AT + 12, ended_at=AT + 14, outcome=Outcome.BUSY),
            Attempt("desk", CALLER, AT + 14, AT + 18, AT + 20, outcome=Outcome.ANSWERED),
        ),
        end=End.PUT_THROUGH,
    )
    in_vain = call(
        attempts=(Attempt("billing", CALLER, AT, ended_at=AT + 9, outcome=Outcome.NO_ANSWER),),
        falls=(Fall(Rung.RESCUE, AT),),
        end=End.MESSAGE_LEFT,
    )
    added = day([Summary.of(each) for each in (through, in_vain, call())])
    closed = call(handoffs=(Handoff("desk", "", "", By.MODEL, AT, closed=True),), end=End.CALLER_HUNG_UP)
    left = call(attempts=(Attempt("desk", CALLER, AT, AT + 4, AT + 5, outcome=Outcome.LEFT),))
    assert (added.calls, added.put_through, added.wanted) == (3, 1, 2)
    assert added.not_put_through == {"no_answer": 1}
    more = day([Summary.of(each) for each in (through, in_vain, closed, left)])
    assert (more.put_through, more.wanted) == (1, 4)
    assert more.not_put_through == {"no_answer": 1, "closed": 1}, "who waits still is none of them"
    assert added.seconds_to_person == 10.0
    assert added.in_vain == {"busy": 1, "no_answer": 1}
    assert added.targets == {"desk": (1, 1), "billing": (0, 1)}
    assert added.rungs == {"rescue": 1}
    assert added.ends == {"put_through": 1, "message_left": 1}


def test_percentiles_are_values_that_were_measured():
    assert percentile([], 99) is None
    assert percentile([3.0], 50) == 3.0
    assert percentile([float(n) for n in range(1, 101)], 99) == 99.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.0


def test_durations_are_said_as_people_do():
    said = {None: "–", 0.25: "0.2 s", 9.94: "9.9 s", 12.3: "12 s", 65: "1:05", 3725: "1:02:05"}
    assert {seconds: duration(seconds) for seconds in said} == said


# --- patches --------------------------------------------------------------------------------------------


def test_a_patch_says_what_changed_what_is_new_and_where_and_what_is_gone():
    before = {"head": Piece("a"), "x-1": Piece("1", "list"), "x-2": Piece("2", "list")}
    after = {"head": Piece("b"), "x-1": Piece("1", "list"), "x-3": Piece("3", "list"), "x-4": Piece("4", "list")}
    told = patch(before, after)
    assert told is not None
    assert json.loads(told) == {
        "changed": {"head": "b"},
        "added": [["list", "x-1", "3"], ["list", "x-3", "4"]],
        "removed": ["x-2"],
    }
    assert patch(after, after) is None


def test_a_part_that_changes_is_sent_alone_unless_the_rest_has_changed_as_well():
    quiet = {"x": Piece("<a><i/></a>", "list", ("x-i", "<i/>"))}
    loud = {"x": Piece("<a><i>!</i></a>", "list", ("x-i", "<i>!</i>"))}
    other = {"x": Piece("<b><i/></b>", "list", ("x-i", "<i/>"))}
    for before, after, changed in (
        (quiet, loud, {"x-i": "<i>!</i>"}),
        (loud, quiet, {"x-i": "<i/>"}),
        (loud, other, {"x": "<b><i/></b>"}),
        (quiet, other, {"x": "<b><i/></b>"}),
    ):
        told = patch(before, after)
        assert told is not None
        assert json.loads(told)["changed"] == changed


def test_a_whole_page_says_what_belongs_into_each_list():
    told = json.loads(whole({"head": Piece("a"), "x-1": Piece("1", "list")}, ("list", "empty")))
    assert told == {"changed": {"head": "a"}, "inside": {"list": ["x-1"], "empty": []}, "html": {"x-1": "1"}}
