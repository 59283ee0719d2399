"""Announcements to all who are in a conference, as Twilio makes them and refuses them."""

import asyncio

import pytest
from our_server import ANNA, OURS, PUBLIC, World, document, world

from sandbox.network import CallerLeg
from sandbox.people import Person

ROOM = document(
    '<Dial><Conference endConferenceOnExit="true" statusCallback="/room" '
    'statusCallbackEvent="start announcement">room</Conference></Dial>'
)
WELCOME = f"{PUBLIC}/welcome"


async def two(w: World) -> tuple[CallerLeg, str]:
    """A caller and Anna in a conference, and its SID."""
    w.server.documents |= {"/voice": ROOM, "/answer": ROOM, "/room": ""}
    w.server.documents["/welcome"] = document("<Say>Anna, this is Sam.</Say>")
    w.net.people[ANNA] = Person(after=0.05, says="")
    call = await w.call()
    await call.until("joins")
    await w.rest("POST", "Calls.json", To=ANNA, From=OURS, Url=f"{PUBLIC}/answer?call={call.sid}")
    await call.until("bridged")
    return call, await told(w, "conference-start")


async def told(w: World, event: str) -> str:
    """The conference of which this is told."""
    async with asyncio.timeout(10):
        while True:
            for asked in w.server.asked_for("/room"):
                if asked.form["StatusCallbackEvent"] == event:
                    return asked.form["ConferenceSid"]
            await asyncio.sleep(0.02)


async def test_both_hear_an_announcement_once_and_its_end_is_told():
    async with world() as w:
        call, sid = await two(w)
        status, conference = await w.rest("POST", f"Conferences/{sid}.json", AnnounceUrl=WELCOME)
        assert (status, conference["sid"], conference["status"]) == (200, sid, "in-progress")
        assert await told(w, "announcement-end") == sid
        [announced] = [note for note in w.net.journal.of(call.sid) if note.what == "announces"]
        assert announced.data["text"] == "Anna, this is Sam."
        assert set(announced.data["legs"]) == {call.sid, call.called[0].sid}
        assert all(leg.heard.any() for leg in (call, call.called[0]))
        [asked] = w.server.asked_for("/welcome")
        assert asked.signed
        await call.hang_up()


@pytest.mark.parametrize("answer", ["<Dial>+12025550122</Dial>", "<Hangup/>", None])
async def test_what_is_no_announcement_is_told_as_failed_and_the_two_go_on(answer: str | None):
    async with world() as w:
        call, sid = await two(w)
        w.server.documents.pop("/welcome")
        if answer is not None:
            w.server.documents["/welcome"] = document(answer)
        status, _ = await w.rest("POST", f"Conferences/{sid}.json", AnnounceUrl=WELCOME)
        assert status == 200
        await told(w, "announcement-fail")
        assert call.live
        await call.hang_up()


@pytest.mark.parametrize(
    ("form", "refused"),
    [
        ({}, (400, 21205)),
        ({"AnnounceUrl": "/welcome"}, (400, 21205)),
        ({"AnnounceUrl": WELCOME, "AnnounceMethod": "PUT"}, (400, 20001)),
        ({"Status": "completed"}, (400, 20001)),
    ],
)
async def test_what_twilio_cannot_announce_is_refused(form: dict[str, str], refused: tuple[int, int]):
    async with world() as w:
        call, sid = await two(w)
        status, error = await w.rest("POST", f"Conferences/{sid}.json", **form)
        assert (status, error["code"]) == refused
        await call.hang_up()


@pytest.mark.parametrize("which", ["none", "its name", "over", "not begun"])
async def test_a_conference_that_nobody_is_together_in_is_not_found(which: str):
    async with world() as w:
        if which == "not begun":
            w.server.documents |= {"/voice": ROOM, "/room": ""}
            call = await w.call()
            await call.until("joins")
            [sid] = w.net.conferences
        else:
            call, sid = await two(w)
        if which == "over":
            await call.hang_up()
            await call.ended()
        name = {"none": f"CF{0:032x}", "its name": "room"}.get(which, sid)
        status, error = await w.rest("POST", f"Conferences/{name}.json", AnnounceUrl=WELCOME)
        assert (status, error["code"]) == (404, 20404)
        await call.hang_up()


async def test_an_announcement_ends_with_the_conference():
    async with world() as w:
        call, sid = await two(w)
        w.server.documents["/welcome"] = document("<Say>One.</Say><Pause length='5'/><Say>Two.</Say>")
        await w.rest("POST", f"Conferences/{sid}.json", AnnounceUrl=WELCOME)
        await call.until("announces")
        await call.hang_up()
        await call.ended()
        said = [note.data["text"] for note in w.net.journal.of(call.sid) if note.what == "announces"]
        assert said == ["One."]
        assert not any("announcement" in a.form["StatusCallbackEvent"] for a in w.server.asked_for("/room"))
