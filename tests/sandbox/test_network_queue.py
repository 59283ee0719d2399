"""Queues: callers wait, hear where they are, leave, and are taken in order."""

import asyncio

import pytest
from our_server import ANNA, OURS, World, document, world

from sandbox.network import CallerLeg, Line
from sandbox.people import Person
from sandbox.scene import Note

AGENTS = "+12025550190"
ENQUEUE = '<Enqueue action="/left" waitUrl="/wait">support</Enqueue>'
MUSIC = "<Play>https://elsewhere.example/music.mp3</Play>"
ASK = f'<Gather numDigits="1" timeout="1" finishOnKey="" action="/key">{MUSIC}</Gather>'
TAKE = '<Dial action="/served" timeout="1"><Queue url="/connecting">support</Queue></Dial>'


def prepare(w: World, wait: str = ASK, **documents: str) -> None:
    w.net.numbers[AGENTS] = Line("https://bot.example/agents")
    w.server.documents |= {
        "/voice": document(ENQUEUE),
        "/wait": document(wait),
        "/left": document("<Hangup/>"),
        "/agents": document(TAKE),
        "/connecting": document("<Say>Now.</Say>"),
        "/served": document("<Hangup/>"),
        "/key": document("<Leave/>"),
        **{f"/{path}": document(verbs) for path, verbs in documents.items()},
    }


async def waiting(w: World) -> CallerLeg:
    call = await w.call()
    await call.until("queued")
    return call


async def agent(w: World, person: Person | None = None) -> CallerLeg:
    leg = await w.net.call(ANNA, AGENTS)
    leg.holder = person
    return leg


def result(w: World) -> dict[str, str]:
    [asked] = w.server.asked_for("/left")
    return asked.form


async def test_who_waits_is_told_where_they_are_and_how_long_it_has_been():
    async with world() as w:
        prepare(w)
        first, second = await waiting(w), await waiting(w)
        await second.until(lambda note: note.data.get("name") == "Gather")
        facts = w.server.asked_for("/wait")[-1].form
        assert (facts["QueuePosition"], facts["CurrentQueueSize"], facts["QueueTime"]) == ("2", "2", "0")
        assert facts["QueueSid"].startswith("QU")
        assert {"AvgQueueTime", "MaxQueueSize"} <= set(facts)
        for call in (first, second):
            await call.hang_up()
            await call.ended()
        assert [asked.form["QueueResult"] for asked in w.server.asked_for("/left")] == ["hangup", "hangup"]
        assert not first.errors


async def test_the_wait_document_is_asked_for_again_and_again():
    async with world() as w:
        prepare(w, MUSIC)
        call = await waiting(w)
        await asyncio.sleep(2.5)
        assert len(w.server.asked_for("/wait")) >= 3
        await call.hang_up()


async def test_who_dials_the_queue_has_the_first_caller():
    async with world() as w:
        prepare(w)
        first, second = await waiting(w), await waiting(w)
        taker = await agent(w, Person(hangs_up_after=0.3))
        await first.until("bridged")
        await first.ended()
        assert first.bridged_to == ANNA
        assert second.live
        [asked] = w.server.asked_for("/connecting")
        assert (asked.form["CallSid"], asked.form["DequeingCallSid"]) == (first.sid, taker.sid)
        assert result(w)["QueueResult"] == "bridged"
        assert result(w)["CallStatus"] == "in-progress"
        await second.hang_up()


async def test_two_who_dial_it_at_once_do_not_have_the_same_caller():
    async with world() as w:
        prepare(w)
        call = await waiting(w)
        one, other = await agent(w), await agent(w)
        await call.until("bridged")
        await other.ended()
        statuses = [asked.form["DialCallStatus"] for asked in w.server.asked_for("/served")]
        assert statuses == ["no-answer"]
        assert one.live
        await one.hang_up()
        await call.ended()


async def test_a_caller_who_hangs_up_ends_the_conversation():
    async with world() as w:
        prepare(w)
        call = await waiting(w)
        taker = await agent(w)
        await call.until("bridged")
        await call.hang_up()
        await call.ended()
        await taker.ended()
        assert result(w)["QueueResult"] == "bridged"
        assert result(w)["CallStatus"] == "completed"
        [served] = w.server.asked_for("/served")
        assert (served.form["DialCallStatus"], served.form["DialBridged"]) == ("completed", "true")


async def test_a_key_leads_out_of_the_queue():
    async with world() as w:
        prepare(w)
        call = await waiting(w)
        await call.until(lambda note: note.data.get("name") == "Gather")
        await call.press("*")
        await call.ended()
        [key] = w.server.asked_for("/key")
        assert key.form["Digits"] == "*"
        assert "QueueTime" not in key.form
        assert result(w)["QueueResult"] == "leave"


async def test_a_wrong_answer_to_the_wait_request_ends_the_wait():
    async with world() as w:
        prepare(w, wait="<Dial>+12025550111</Dial>")
        call = await waiting(w)
        await call.ended()
        assert result(w)["QueueResult"] == "error"
        assert [code for code, _ in call.errors] == [13201]


async def test_a_redirect_leads_out_of_the_queue():
    async with world() as w:
        prepare(w)
        call = await waiting(w)
        assert await w.redirect(call, "<Hangup/>") == 200
        await call.ended()
        assert result(w)["QueueResult"] == "redirected"


async def test_a_full_queue_takes_nobody():
    async with world() as w:
        prepare(w)
        status, made = await w.rest("POST", "Queues.json", FriendlyName="support", MaxSize="1")
        assert status == 201
        first = await waiting(w)
        second = await w.call()
        await second.ended()
        assert result(w)["QueueResult"] == "queue-full"
        assert "QueueSid" not in result(w)
        status, told = await w.rest("GET", f"Queues/{made['sid']}.json")
        assert (status, told["current_size"], told["max_size"]) == (200, 1, 1)
        status, listed = await w.rest("GET", "Queues.json")
        assert [queue["friendly_name"] for queue in listed["queues"]] == ["support"]
        assert (await w.rest("POST", "Queues.json", FriendlyName="support"))[0] == 400
        assert (await w.rest("POST", "Queues.json", FriendlyName="other", MaxSize="5001"))[0] == 400
        assert (await w.rest("GET", "Queues/QU0.json"))[0] == 404
        await first.hang_up()


async def test_nobody_has_a_caller_from_a_queue_that_there_is_not():
    async with world() as w:
        prepare(w)
        await (await agent(w)).ended()
        assert w.server.asked_for("/served")[0].form["DialCallStatus"] == "failed"


@pytest.mark.parametrize(
    "verb",
    [
        "<Enqueue/>",
        f"<Enqueue>{'a' * 65}</Enqueue>",
        "<Enqueue><Task>{}</Task></Enqueue>",
        '<Enqueue workflowSid="WW1"><Task>not JSON</Task></Enqueue>',
    ],
)
async def test_a_queue_without_a_name_and_a_task_without_attributes_are_refused(verb: str):
    async with world() as w:
        w.server.documents["/voice"] = document(verb)
        call = await w.call()
        await call.ended()
        assert 12200 in [code for code, _ in call.errors]


async def test_a_workflow_is_told_of_the_caller():
    async with world() as w:
        prepare(w)
        task = '<Enqueue workflowSid="WW1" action="/left" waitUrl="/wait"><Task>{"team": "support"}</Task></Enqueue>'
        w.server.documents["/voice"] = document(task)
        call = await waiting(w)
        [note] = [note for note in w.journal.of(call.sid) if note.what == "task"]
        assert _attributes(note) == {"team": "support"}
        await call.hang_up()


def _attributes(note: Note) -> object:
    return note.data["attributes"]


async def test_a_queue_and_somebody_to_ring_do_not_go_together():
    async with world() as w:
        w.server.documents["/voice"] = document("<Dial><Queue>support</Queue><Number>+12025550111</Number></Dial>")
        call = await w.call()
        await call.ended()
        assert 13221 in [code for code, _ in call.errors]


async def test_our_own_music_is_fetched_and_heard():
    async with world() as w:
        prepare(w, f"<Play>https://bot.example/{OURS}.wav</Play>")
        call = await waiting(w)
        await call.ended()
        assert result(w)["QueueResult"] == "error", "the server here has no such file"
