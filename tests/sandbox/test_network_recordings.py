"""Recordings of calls: when they begin and end, what is in them, and what Twilio refuses."""

import asyncio
import io
import wave
from email.utils import parsedate_to_datetime

import aiohttp
import numpy as np
import pytest
from our_server import ANNA, OURS, PUBLIC, World, document, world

from sandbox.network import Recording
from sandbox.people import Person
from sandbox.sound import tone

SAID = tone(300, seconds=0.3)
CALLBACK = 'recordingStatusCallback="/recorded"'
DIAL = f'<Dial action="/dialed" record="{{}}" trim="do-not-trim" {CALLBACK}><Number>{{}}</Number></Dial>'
ROOM = (
    '<Dial><Conference endConferenceOnExit="true" waitUrl="" record="record-from-start" '
    f"{CALLBACK}>room</Conference></Dial>"
)


async def the_recording(w: World) -> Recording:
    """The only one there is, as soon as it is complete."""
    async with asyncio.timeout(5):
        while not w.net.recordings:
            await asyncio.sleep(0.02)
    [recording] = w.net.recordings.values()
    return recording


def holds(pcm: np.ndarray, sound: np.ndarray) -> bool:
    """Whether a sound is somewhere in a channel, sample for sample."""
    loud = np.flatnonzero(pcm)
    return bool(len(loud)) and np.array_equal(pcm[loud[0] - 1 :][: len(sound)], sound)


async def test_a_call_is_recorded_from_the_order_to_the_stop_each_direction_on_its_channel():
    async with world() as w:
        call, socket = await w.stream()
        w.server.documents["/recorded"] = ""
        await call.say(SAID)
        ordered = {"RecordingChannels": "dual", "RecordingStatusCallback": f"{PUBLIC}/recorded"}
        status, begun = await w.rest("POST", f"Calls/{call.sid}/Recordings.json", **ordered)
        assert (status, begun["status"], begun["source"]) == (201, "in-progress", "StartCallRecordingAPI")
        await socket.media(300)
        await call.say(SAID)
        status, ended = await w.rest("POST", f"Calls/{call.sid}/Recordings/Twilio.CURRENT.json", Status="stopped")
        assert (status, ended["sid"]) == (200, begun["sid"])
        await call.say(SAID)
        recording = await the_recording(w)
        said, heard = recording.pcm[:, 0], recording.pcm[:, 1]
        assert holds(said, SAID)
        assert np.count_nonzero(heard) == 2400, "the 300 ms that the bot said"
        assert 0.3 <= len(said) / 8000 < 0.6
        await call.hang_up()
        await call.ended()
        [told] = [asked.form for asked in w.server.asked_for("/recorded")]
        assert (told["CallSid"], told["RecordingSid"]) == (call.sid, begun["sid"])
        assert (told["RecordingStatus"], told["RecordingChannels"]) == ("completed", "2")
        assert told["RecordingDuration"] == "1"
        assert parsedate_to_datetime(told["RecordingStartTime"])
        url = told["RecordingUrl"].replace(PUBLIC, "")
        async with aiohttp.ClientSession() as http, http.get(f"{url}.wav") as answer:
            sound = wave.open(io.BytesIO(await answer.read()))
        assert (sound.getnchannels(), sound.getnframes()) == (2, len(said))
        status, listed = await w.rest("GET", f"Calls/{call.sid}/Recordings.json")
        assert [each["sid"] for each in listed["recordings"]] == [begun["sid"]]
        assert (await w.rest("DELETE", f"Recordings/{begun['sid']}.json"))[0] == 204
        assert (await w.rest("DELETE", f"Recordings/{begun['sid']}.json"))[0] == 404


async def test_a_recording_that_nobody_stops_ends_with_the_call():
    async with world() as w:
        call, _ = await w.stream()
        await w.rest("POST", f"Calls/{call.sid}/Recordings.json")
        await call.say(SAID)
        await call.hang_up()
        await call.ended()
        recording = await the_recording(w)
        assert recording.pcm.ndim == 1, "without a word, it is mono"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"RecordingChannels": "stereo"}, 20001),
        ({"RecordingStatusCallback": "recorded"}, 21205),
        ({"RecordingStatusCallbackEvent": "ended"}, 20001),
    ],
)
async def test_what_twilio_does_not_know_is_refused(form: dict[str, str], code: int):
    async with world() as w:
        call, _ = await w.stream()
        status, body = await w.rest("POST", f"Calls/{call.sid}/Recordings.json", **form)
        assert (status, body["code"]) == (400, code)


async def test_a_call_that_is_over_is_not_recorded_and_what_is_not_recorded_is_not_stopped():
    async with world() as w:
        call, _ = await w.stream()
        path = f"Calls/{call.sid}/Recordings"
        status, body = await w.rest("POST", f"{path}/Twilio.CURRENT.json", Status="stopped")
        assert (status, body["code"]) == (404, 20404)
        _, begun = await w.rest("POST", f"{path}.json")
        assert (await w.rest("DELETE", f"Recordings/{begun['sid']}.json"))[0] == 400
        assert (await w.rest("POST", f"{path}/{begun['sid']}.json", Status="stopped"))[0] == 200
        assert (await w.rest("POST", f"{path}/{begun['sid']}.json", Status="stopped"))[0] == 404
        await call.hang_up()
        await call.ended()
        status, body = await w.rest("POST", f"{path}.json")
        assert (status, body["code"]) == (400, 21220)
        assert (await w.rest("POST", f"Calls/CA{'0' * 32}/Recordings.json"))[0] == 404


async def test_a_dial_is_recorded_from_the_answer_to_its_end():
    async with world() as w:
        dial = DIAL.format("record-from-answer-dual", ANNA)
        w.server.documents |= {"/voice": document(dial), "/dialed": document("<Hangup/>"), "/recorded": ""}
        w.net.people[ANNA] = Person(after=0.3, hangs_up_after=0.8, says="This is Anna.")
        call = await w.call()
        await call.until("bridged")
        await call.say(SAID)
        await call.ended()
        recording = await the_recording(w)
        assert 0.7 < len(recording.pcm) / 8000 < 1.2, "the ringing is not in it"
        assert holds(recording.pcm[:, 0], SAID)
        assert np.any(recording.pcm[:, 1])
        [told] = w.server.asked_for("/recorded")
        assert (told.form["CallSid"], told.form["RecordingSource"]) == (call.sid, "DialVerb")
        assert w.server.asked_for("/dialed")[0].form["RecordingUrl"].endswith(recording.sid)


async def test_nobody_who_does_not_answer_is_recorded():
    async with world() as w:
        dial = DIAL.format("record-from-answer-dual", ANNA)
        w.server.documents |= {"/voice": document(dial), "/dialed": document("<Hangup/>")}
        w.net.people[ANNA] = Person("busy")
        call = await w.call()
        await call.ended()
        assert not w.net.recordings


async def test_a_typo_in_record_is_an_error_of_the_call():
    async with world() as w:
        w.server.documents["/voice"] = document(DIAL.format("record-from-bridge", ANNA))
        call = await w.call()
        await call.ended()
        assert [code for code, _ in call.errors] == [12200]


async def test_a_conference_is_recorded_from_its_start_on_one_channel():
    async with world() as w:
        room = document(ROOM)
        w.server.documents |= {"/voice": room, "/answer": room, "/recorded": ""}
        w.net.people[ANNA] = Person(after=0.05, hangs_up_after=0.6, says="This is Anna.")
        call = await w.call()
        await call.until("joins")
        await asyncio.sleep(0.4)
        url = f"{PUBLIC}/answer?call={call.sid}"
        await w.rest("POST", "Calls.json", To=ANNA, From=OURS, Url=url)
        await call.until("bridged")
        await call.say(SAID)
        await call.ended()
        recording = await the_recording(w)
        assert recording.pcm.ndim == 1
        assert 0.5 < len(recording.pcm) / 8000 < 1.0, "the waiting is not in it"
        [told] = w.server.asked_for("/recorded")
        assert told.form["RecordingSource"] == "Conference"
        assert told.form["ConferenceSid"].startswith("CF")
        assert "CallSid" not in told.form
