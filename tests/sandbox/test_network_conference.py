"""Calls that our server asks for, and conferences."""

import asyncio

import pytest
from our_server import ANNA, BEN, OURS, PUBLIC, World, document, world

from sandbox.network import CallerLeg
from sandbox.people import Person

ROOM = (
    '<Dial action="/dialed"><Conference endConferenceOnExit="true" waitUrl="" statusCallback="/room" {}>'
    "room</Conference></Dial>"
)
EVENTS = 'statusCallbackEvent="start end join leave"'
ASK = '<Gather numDigits="1" timeout="1" action="/key"><Say>A caller.</Say></Gather><Hangup/>'


async def placed(
    w: World, to: str = ANNA, *, behalf: CallerLeg | None = None, **form: str
) -> tuple[int, dict[str, object]]:
    url = f"{PUBLIC}/answer{f'?call={behalf.sid}' if behalf else ''}"
    return await w.rest("POST", "Calls.json", To=to, From=OURS, Url=url, **form)


async def two_in_a_room(w: World, events: str = EVENTS, **person: object) -> CallerLeg:
    """A caller in a conference, and Anna, who is called on their behalf."""
    room = document(ROOM.format(events))
    w.server.documents |= {"/voice": room, "/answer": room, "/dialed": document("<Hangup/>"), "/room": ""}
    w.net.people[ANNA] = Person(after=0.05, **person)  # type: ignore[arg-type]
    call = await w.call()
    await call.until("joins")
    status, _ = await placed(w, behalf=call)
    assert status == 201
    return call


async def test_two_who_name_the_same_conference_meet():
    async with world() as w:
        call = await two_in_a_room(w, hangs_up_after=0.3)
        await call.until("bridged")
        await call.ended()
        assert call.bridged_to == ANNA
        told = [asked.form["StatusCallbackEvent"] for asked in w.server.asked_for("/room")]
        assert told[:3] == ["participant-join", "participant-join", "conference-start"]
        assert told.count("participant-leave") == 2
        assert told.count("conference-end") == 1
        end = next(a.form for a in w.server.asked_for("/room") if a.form["StatusCallbackEvent"] == "conference-end")
        assert end["CallSidEndingConference"] == call.called[0].sid
        [dialed] = w.server.asked_for("/dialed")[-1:]
        assert dialed.form["DialCallStatus"] == "answered"
        assert "DialBridged" not in dialed.form


async def test_only_what_is_wanted_is_told_of_a_conference():
    async with world() as w:
        call = await two_in_a_room(w, 'statusCallbackEvent="start"', hangs_up_after=0.2)
        await call.ended()
        assert {asked.form["StatusCallbackEvent"] for asked in w.server.asked_for("/room")} == {"conference-start"}


async def test_a_caller_who_hangs_up_ends_the_conference_and_the_person_s_leg():
    async with world() as w:
        call = await two_in_a_room(w)
        await call.until("bridged")
        await call.hang_up()
        await call.called[0].ended()
        assert call.called[0].status == "completed"


async def test_who_is_alone_in_a_conference_hears_nothing():
    async with world() as w:
        w.server.documents["/voice"] = document(ROOM.format(""))
        call = await w.call()
        await call.until("joins")
        await asyncio.sleep(0.5)
        assert call.silences
        await call.hang_up()


async def test_a_person_who_is_called_is_asked_for_a_key_and_told_apart_by_what_they_press():
    async with world() as w:
        w.server.documents |= {"/answer": document(ASK), "/key": document("<Hangup/>")}
        w.net.people[ANNA] = Person("decline", after=0.05)
        await placed(w)
        await w.net.calls[0].ended()
        [key] = w.server.asked_for("/key")
        assert key.form["Digits"] == "2"
        assert key.form["Direction"] == "outbound-api"
        assert "ParentCallSid" not in key.form


@pytest.mark.parametrize(("behaviour", "answered_by"), [("answer", "human"), ("voicemail", "machine_start")])
async def test_a_machine_is_heard_where_that_was_asked_for(behaviour: str, answered_by: str):
    async with world() as w:
        w.server.documents["/answer"] = document("<Hangup/>")
        w.net.people[ANNA] = Person(behaviour, after=0.05)  # type: ignore[arg-type]
        await placed(w, MachineDetection="Enable")
        await w.net.calls[0].ended()
        assert w.server.asked_for("/answer")[0].form["AnsweredBy"] == answered_by


async def test_a_person_who_hangs_up_when_asked_ends_their_leg():
    async with world() as w:
        w.server.documents |= {"/answer": document(ASK)}
        w.net.people[ANNA] = Person("hang_up", after=0.05)
        await placed(w)
        await w.net.calls[0].ended()
        assert not w.server.asked_for("/key")
        assert w.net.calls[0].status == "completed"


async def test_a_ringing_phone_stops_when_rest_says_so():
    async with world() as w:
        w.net.people[ANNA] = Person("no_answer")
        _, made = await placed(w, StatusCallback=f"{PUBLIC}/status", StatusCallbackEvent="completed")
        w.server.documents["/status"] = ""
        await w.net.calls[0].until("rings")
        assert (await w.rest("POST", f"Calls/{made['sid']}.json", Status="completed"))[0] == 200
        await w.net.calls[0].ended()
        assert w.net.calls[0].status == "canceled"
        assert not w.server.asked_for("/answer")


async def test_a_person_on_the_line_can_be_given_another_document():
    async with world() as w:
        w.server.documents["/answer"] = document("<Pause length='20'/>")
        _, made = await placed(w)
        await w.net.calls[0].until(lambda note: note.data.get("name") == "Pause")
        status, _ = await w.rest("POST", f"Calls/{made['sid']}.json", Twiml=document("<Say>Gone.</Say><Hangup/>"))
        assert status == 200
        await w.net.calls[0].until("says")
        await w.net.calls[0].ended()


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Timeout": "0"}, 20001),
        ({"Timeout": "601"}, 20001),
        ({"MachineDetection": "yes"}, 20001),
        ({"To": "robin"}, 21211),
        ({"To": "sip:robin"}, 21211),
    ],
)
async def test_an_order_that_twilio_refuses_is_refused(form: dict[str, str], code: int):
    async with world() as w:
        order = {"To": ANNA, "From": OURS, "Url": f"{PUBLIC}/answer", **form}
        status, body = await w.rest("POST", "Calls.json", **order)
        assert (status, body["code"]) == (400, code)


async def test_events_in_one_field_are_taken_and_never_told():
    async with world() as w:
        w.server.documents["/answer"] = document("<Hangup/>")
        status, _ = await placed(w, StatusCallback=f"{PUBLIC}/status", StatusCallbackEvent="ringing completed")
        assert status == 201
        await w.net.calls[0].ended()
        assert [code for code, _ in w.net.calls[0].errors] == [21626]
        assert not w.server.asked_for("/status")


@pytest.mark.parametrize("noun", ["<Sip>sip:robin@pbx.example?X-Why=a%20b</Sip>", "<Client>robin</Client>"])
async def test_sip_telephones_and_clients_are_rung(noun: str):
    async with world() as w:
        robin = Person(after=0.05, hangs_up_after=0.2)
        w.net.people.update({"sip:robin@pbx.example": robin, "client:robin": robin})
        w.server.documents |= {
            "/voice": document(f'<Dial action="/dialed">{noun}</Dial>'),
            "/dialed": document("<Hangup/>"),
        }
        call = await w.call()
        await call.ended()
        assert w.server.asked_for("/dialed")[0].form["DialBridged"] == "true"
        assert call.children[0].headers == ("X-Why=a%20b" if "Sip" in noun else "")


@pytest.mark.parametrize(
    ("noun", "code"),
    [
        ("<Sip>robin@pbx.example</Sip>", 13243),
        ("<Sip>sip:robin@pbx.example?Subject=hello</Sip>", 13243),
        (f"<Sip>sip:robin@pbx.example?X-Long={'a' * 1000}</Sip>", 13243),
        ("<Client>robin smith</Client>", 13223),
    ],
)
async def test_an_address_that_is_none_is_not_rung(noun: str, code: int):
    async with world() as w:
        w.server.documents |= {
            "/voice": document(f'<Dial action="/dialed">{noun}</Dial>'),
            "/dialed": document("<Hangup/>"),
        }
        call = await w.call()
        await call.ended()
        assert w.server.asked_for("/dialed")[0].form["DialCallStatus"] == "failed"
        assert [found for found, _ in call.errors] == [code]


async def test_a_conference_and_somebody_to_ring_do_not_go_together():
    async with world() as w:
        w.server.documents["/voice"] = document(f"<Dial><Conference>room</Conference><Number>{BEN}</Number></Dial>")
        call = await w.call()
        await call.ended()
        assert 13221 in [code for code, _ in call.errors]
