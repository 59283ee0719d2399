"""`<Dial>`: people whose phones are rung."""

import asyncio

import numpy as np
import pytest
from our_server import ANNA, BEN, CALLER, OURS, Asked, World, document, world

from sandbox.network import CallerLeg
from sandbox.people import Person
from sandbox.sound import RINGBACK

NOBODY = "+12025550199"
SCREENED = f'<Dial action="/dialed"><Number url="/whisper">{ANNA}</Number></Dial>'
WHISPER = '<Gather numDigits="1" timeout="1" action="/key"><Say>A caller.</Say></Gather><Hangup/>'


async def dial(w: World, verbs: str, *people: tuple[str, Person | list[Person]]) -> CallerLeg:
    w.net.people.update(people)
    w.server.documents["/voice"] = document(verbs)
    w.server.documents.setdefault("/dialed", document("<Hangup/>"))
    return await w.call()


def accept(asked: Asked) -> str:
    return document("" if asked.form["Digits"] == "1" else "<Hangup/>")


async def test_who_answers_is_connected_and_heard_until_they_hang_up():
    async with world() as w:
        person = Person(after=0.05, hangs_up_after=0.5, says="Anna here.")
        call = await dial(w, f'<Dial action="/dialed">{ANNA}</Dial>', (ANNA, person))
        bridged = await call.until("bridged")
        await call.ended()
        form = w.server.asked_for("/dialed")[0].form
        assert form["DialCallStatus"] == "completed"
        assert form["DialBridged"] == "true"
        assert int(form["DialCallDuration"]) >= 1
        assert form["DialCallSid"] == call.children[0].sid
        assert form["CallStatus"] == "in-progress"
        assert call.bridged_to == ANNA
        said = call.heard[round((bridged.at - w.journal.at(call.ear.began_at)) * 8000) :]
        assert np.abs(said[:2000]).max() > 500


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("busy", "busy"), ("reject", "busy"), ("failed", "failed"), ("no_answer", "no-answer")],
)
async def test_who_does_not_answer_is_reported_by_name(behaviour: str, status: str):
    async with world() as w:
        person = Person(behaviour, after=0.05)  # type: ignore[arg-type]
        call = await dial(w, f'<Dial action="/dialed" timeout="1">{ANNA}</Dial>', (ANNA, person))
        await call.ended()
        form = w.server.asked_for("/dialed")[0].form
        assert (form["DialCallStatus"], form["DialBridged"]) == (status, "false")
        assert "DialCallDuration" not in form
        assert call.children[0].outcome == status
        assert call.bridged_to is None


async def test_a_number_that_nobody_has_fails_with_13224():
    async with world() as w:
        call = await dial(w, f'<Dial action="/dialed">{NOBODY}</Dial>')
        await call.ended()
        form = w.server.asked_for("/dialed")[0].form
        assert (form["DialCallStatus"], form["ErrorCode"]) == ("failed", "13224")
        assert [code for code, _ in call.errors] == [13224]


async def test_what_is_no_number_fails_with_13223_and_without_a_leg():
    async with world() as w:
        call = await dial(w, '<Dial action="/dialed">anna</Dial>')
        await call.ended()
        form = w.server.asked_for("/dialed")[0].form
        assert (form["DialCallStatus"], form["ErrorCode"]) == ("failed", "13223")
        assert "DialCallSid" not in form


async def test_a_caller_id_that_is_not_ours_fails_with_13214():
    async with world() as w:
        call = await dial(w, f'<Dial action="/dialed" callerId="{NOBODY}">{ANNA}</Dial>')
        await call.ended()
        assert w.server.asked_for("/dialed")[0].form["DialCallStatus"] == "failed"
        assert [code for code, _ in call.errors] == [13214]
        assert not call.children


@pytest.mark.parametrize("shown", [CALLER, OURS])
async def test_the_person_sees_the_caller_id(shown: str):
    async with world() as w:
        call = await dial(w, f'<Dial callerId="{shown}">{ANNA}</Dial>')
        await call.until("bridged")
        assert call.children[0].from_ == shown
        await call.hang_up()


async def test_without_an_action_the_next_verb_follows():
    async with world() as w:
        call = await dial(w, f"<Dial>{ANNA}</Dial><Say>Nobody is free.</Say>", (ANNA, Person("busy", after=0)))
        await call.until("says")
        await call.hang_up()


async def test_all_numbers_ring_at_once_and_the_first_to_answer_wins():
    async with world() as w:
        verbs = f"<Dial><Number>{ANNA}</Number><Number>{BEN}</Number></Dial>"
        call = await dial(w, verbs, (ANNA, Person(after=5)), (BEN, Person(after=0.1)))
        await call.until("bridged")
        anna, ben = call.children
        assert (anna.outcome, ben.outcome) == ("canceled", None)
        assert call.bridged_to == BEN
        await call.hang_up()
        await call.ended()
        assert ben.outcome == "completed"


async def test_the_caller_hears_ringing_until_somebody_answers():
    async with world() as w:
        call = await dial(w, f"<Dial>{ANNA}</Dial>", (ANNA, Person(after=0.5, says="")))
        await call.until("rings")
        bridged = await call.until("bridged")
        await asyncio.sleep(0.2)
        heard = call.heard
        bridged_at = round((bridged.at - w.journal.at(call.ear.began_at)) * 8000)
        rung = np.flatnonzero(heard)
        assert np.array_equal(heard[rung[0] : rung[0] + 3000], RINGBACK["us"][1:3001])
        assert rung[-1] == pytest.approx(bridged_at, abs=1600)
        assert call.silences == []


async def test_a_whisper_is_heard_by_the_person_and_the_accepting_key_connects():
    async with world() as w:
        w.server.documents |= {"/whisper": document(WHISPER), "/key": accept}
        call = await dial(w, SCREENED)
        await call.until("bridged")
        whisper = w.server.asked_for("/whisper")[0]
        assert whisper.form["CallSid"] == call.children[0].sid
        assert whisper.form["ParentCallSid"] == call.sid
        assert whisper.form["Direction"] == "outbound-dial"
        assert w.server.asked_for("/key")[0].form["Digits"] == "1"
        await call.hang_up()


@pytest.mark.parametrize(
    "person", [Person("decline", after=0), Person("voicemail", after=0), Person(after=0, digits="")]
)
async def test_who_does_not_accept_in_the_whisper_is_not_connected(person: Person):
    async with world() as w:
        w.server.documents |= {"/whisper": document(WHISPER), "/key": accept}
        call = await dial(w, SCREENED, (ANNA, person))
        await call.ended()
        form = w.server.asked_for("/dialed")[0].form
        assert (form["DialCallStatus"], form["DialBridged"]) == ("completed", "false")
        assert call.bridged_to is None


async def test_a_whisper_that_ends_without_hanging_up_connects_whatever_was_pressed():
    async with world() as w:
        w.server.documents["/whisper"] = document("<Say>A caller.</Say>")
        call = await dial(w, SCREENED, (ANNA, Person("voicemail", after=0)))
        await call.until("bridged")
        await call.hang_up()


async def test_a_whisper_may_not_dial():
    async with world() as w:
        w.server.documents["/whisper"] = document(f"<Dial>{BEN}</Dial>")
        call = await dial(w, SCREENED)
        await call.ended()
        assert 13201 in [code for code, _ in call.errors]
        assert w.server.asked_for("/dialed")[0].form["DialBridged"] == "false"


async def test_machine_detection_tells_the_whisper_who_answered():
    async with world() as w:
        w.server.documents["/whisper"] = document("<Hangup/>")
        verbs = f'<Dial><Number url="/whisper" machineDetection="Enable">{ANNA}</Number></Dial>'
        call = await dial(w, verbs, (ANNA, Person("voicemail", after=0)))
        await call.ended()
        assert w.server.asked_for("/whisper")[0].form["AnsweredBy"] == "machine_start"


async def test_a_number_tells_its_status_callback_in_order():
    async with world() as w:
        events = "initiated ringing answered completed"
        verbs = f'<Dial><Number statusCallback="/leg" statusCallbackEvent="{events}">{ANNA}</Number></Dial>'
        w.server.documents["/leg"] = document("")
        call = await dial(w, verbs, (ANNA, Person(after=0.1, hangs_up_after=0.1)))
        await call.ended()
        told = [asked.form for asked in w.server.asked_for("/leg")]
        assert [form["CallStatus"] for form in told] == ["initiated", "ringing", "in-progress", "completed"]
        assert [form["SequenceNumber"] for form in told] == ["0", "1", "2", "3"]
        assert {form["CallSid"] for form in told} == {call.children[0].sid}
        assert {form["ParentCallSid"] for form in told} == {call.sid}
        assert {form["CallbackSource"] for form in told} == {"call-progress-events"}
        assert int(told[-1]["CallDuration"]) >= 1


async def test_by_default_only_the_end_is_told():
    async with world() as w:
        w.server.documents["/leg"] = document("")
        verbs = f'<Dial><Number statusCallback="/leg">{ANNA}</Number></Dial>'
        call = await dial(w, verbs, (ANNA, Person("busy", after=0)))
        await call.ended()
        assert [asked.form["CallStatus"] for asked in w.server.asked_for("/leg")] == ["busy"]


async def test_a_caller_who_hangs_up_while_it_rings_leaves_no_ringing_leg():
    async with world() as w:
        call = await dial(w, f'<Dial action="/dialed">{ANNA}</Dial>', (ANNA, Person("no_answer")))
        await call.until("rings")
        await call.hang_up()
        await call.ended()
        form = w.server.asked_for("/dialed")[0].form
        assert form["CallStatus"] == "completed"
        assert (form["DialCallStatus"], form["DialBridged"]) == ("no-answer", "false")
        assert call.children[0].outcome == "canceled"


async def test_a_caller_who_hangs_up_during_the_whisper_ends_the_person_s_leg():
    async with world() as w:
        w.server.documents |= {"/whisper": document("<Pause length='10'/>")}
        call = await dial(w, SCREENED)
        await call.until("answers")
        await call.hang_up()
        await call.ended()
        assert call.children[0].outcome == "completed"
        assert w.server.asked_for("/dialed")[0].form["DialBridged"] == "false"


async def test_a_redirect_of_a_connected_call_asks_the_action_first_and_follows_only_the_new_document():
    async with world() as w:
        call = await dial(w, f'<Dial action="/dialed">{ANNA}</Dial>')
        w.server.documents["/dialed"] = document("<Say>This is never said.</Say>")
        await call.until("bridged")
        assert await w.redirect(call, "<Say>This is.</Say>") == 200
        await call.until("says")
        await call.ended()
        form = w.server.asked_for("/dialed")[0].form
        assert (form["DialCallStatus"], form["DialBridged"]) == ("completed", "true")
        assert form["CallStatus"] == "in-progress"
        notes = w.journal.of(call.sid)
        assert [n.data["text"] for n in notes if n.what == "says" and n.lane == "network"] == ["This is."]
        order = [n.what for n in notes]
        assert order.index("leg ended") < order.index("dial ended") < order.index("verb", order.index("dial ended"))


async def test_the_answer_to_the_action_goes_on_with_the_call():
    async with world() as w:
        call = await dial(w, f'<Dial action="/dialed">{ANNA}</Dial>', (ANNA, Person("busy", after=0)))
        w.server.documents["/dialed"] = document(f"<Dial>{BEN}</Dial>")
        w.net.people[BEN] = Person(after=0)
        await call.until("bridged")
        assert call.bridged_to == BEN
        await call.hang_up()


async def test_people_behave_attempt_by_attempt_and_per_call():
    async with world() as w:
        people = {ANNA: [Person("busy", after=0), Person(after=0)]}
        w.server.documents["/voice"] = document(f"<Dial>{ANNA}</Dial><Dial>{ANNA}</Dial>")
        for _ in range(2):
            call = await w.call(people=people)
            await call.until("bridged")
            assert [child.outcome for child in call.children] == ["busy", None]
            await call.hang_up()


async def test_the_time_limit_ends_the_conversation():
    async with world() as w:
        call = await dial(w, f'<Dial action="/dialed" timeLimit="1">{ANNA}</Dial>')
        await call.until("time limit")
        await call.ended()
        assert w.server.asked_for("/dialed")[0].form["DialCallStatus"] == "completed"


async def test_rest_can_end_the_person_s_leg():
    async with world() as w:
        call = await dial(w, f'<Dial action="/dialed">{ANNA}</Dial>', (ANNA, Person("no_answer")))
        await call.until("rings")
        status, body = await w.rest("GET", f"Calls.json?ParentCallSid={call.sid}")
        assert (status, [leg["status"] for leg in body["calls"]]) == (200, ["ringing"])
        await w.rest("POST", f"Calls/{body['calls'][0]['sid']}.json", Status="completed")
        await call.ended()
        assert w.server.asked_for("/dialed")[0].form["DialCallStatus"] == "canceled"
