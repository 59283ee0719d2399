"""A media stream from Twilio's side."""

import asyncio
import time
from base64 import b64decode

import numpy as np
import pytest
from our_server import ACCOUNT, ANNA, PUBLIC, STREAM, document, world

from sandbox.codec import decode
from sandbox.hum import find, hum_for
from sandbox.sound import tone


async def test_the_voice_webhook_is_a_signed_form_with_the_standard_fields():
    async with world() as w:
        call, _ = await w.stream()
        asked = w.server.asked_for("/voice")[0]
        assert asked.signed
        assert asked.headers["I-Twilio-Idempotency-Token"]
        assert asked.form["CallSid"] == call.sid
        assert asked.form["CallStatus"] == "ringing"
        assert asked.form["Direction"] == "inbound"
        assert asked.form["FromCity"] == ""
        assert {"AccountSid", "From", "To", "Caller", "Called", "ApiVersion"} <= asked.form.keys()


async def test_the_upgrade_is_signed_over_the_wss_address():
    async with world() as w:
        _, socket = await w.stream()
        assert socket.signed


async def test_a_stream_says_connected_then_start_then_sends_20_ms_frames_without_a_gap():
    async with world() as w:
        call, socket = await w.stream()
        media = await socket.until("media", 10)
        connected, start = socket.events[:2]
        assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        assert start["sequenceNumber"] == "1"
        assert start["start"] == {
            "accountSid": ACCOUNT,
            "streamSid": socket.sid,
            "callSid": call.sid,
            "tracks": ["inbound"],
            "customParameters": {"token": "t1"},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        assert [m["sequenceNumber"] for m in media[:10]] == [str(n) for n in range(2, 12)]
        assert [m["media"]["chunk"] for m in media[:10]] == [str(n) for n in range(1, 11)]
        assert all(len(b64decode(m["media"]["payload"])) == 160 for m in media)
        assert all(m["media"]["track"] == "inbound" for m in media)


async def test_frames_keep_the_clock_however_late_one_was():
    async with world() as w:
        _, socket = await w.stream()
        await socket.until("media", 5)
        started = time.monotonic()
        count = len(socket.of("media"))
        time.sleep(1.0)  # noqa: ASYNC251 - everything stands still for so long
        await asyncio.sleep(0.5)
        seconds = time.monotonic() - started
        assert len(socket.of("media")) - count == pytest.approx(seconds * 50, abs=25)


async def test_what_the_caller_says_is_sent_over_the_hum_of_the_line():
    async with world() as w:
        call, socket = await w.stream(hum=hum_for(7))
        await socket.until("media", 20)
        await call.say(tone(440, seconds=0.5))
        sent = b"".join(b64decode(m["media"]["payload"]) for m in socket.of("media"))
        pcm = decode(sent)
        assert find(pcm[:2400], 8000) == hum_for(7)
        loud = np.flatnonzero(np.abs(pcm.astype(int)) > 1000)
        assert (loud[-1] - loud[0]) / 8000 == pytest.approx(0.5, abs=0.01)


async def test_a_mark_behind_nothing_is_echoed_at_once():
    async with world() as w:
        call, socket = await w.stream()
        await socket.mark("empty")
        echoed = await socket.until("mark")
        assert echoed[0]["mark"] == {"name": "empty"}
        assert (await call.until("mark echoed")).data["released"] is False


async def test_a_mark_is_echoed_when_everything_before_it_was_played():
    async with world() as w:
        call, socket = await w.stream()
        await socket.media(300)
        await socket.mark("first")
        await socket.media(300)
        await socket.mark("second")
        await socket.until("mark", 2)
        began = (await call.until("speech started")).at
        first, second = [n for n in w.journal.of(call.sid) if n.what == "mark echoed"]
        assert (first.data["name"], second.data["name"]) == ("first", "second")
        assert first.data["played_at"] - began == pytest.approx(0.3, abs=0.001)
        assert second.data["played_at"] - began == pytest.approx(0.6, abs=0.001)
        assert second.at >= second.data["played_at"]


async def test_clear_drops_what_is_queued_and_releases_every_mark_at_once():
    async with world() as w:
        call, socket = await w.stream()
        await socket.media(5000)
        await socket.mark("middle")
        await socket.media(5000)
        await socket.mark("end")
        await call.until("speech started")
        await asyncio.sleep(0.3)
        await socket.send("clear")
        echoed = await socket.until("mark", 2)
        assert [m["mark"]["name"] for m in echoed] == ["middle", "end"]
        notes = w.journal.of(call.sid)
        assert [n.data["released"] for n in notes if n.what == "mark echoed"] == [True, True]
        assert not call.playing


async def test_clear_tells_how_much_of_the_utterance_was_heard():
    async with world() as w:
        call, socket = await w.stream()
        for _ in range(20):
            await socket.media(100)
        began = (await call.until("speech started")).at
        await asyncio.sleep(0.4)
        await socket.send("clear")
        cleared = await call.until("clear")
        assert cleared.data["played_ms"] == pytest.approx((cleared.at - began) * 1000, abs=20)
        assert cleared.data["played_ms"] + cleared.data["dropped_ms"] == 2000
        stopped = await call.until("speech stopped")
        assert stopped.at == pytest.approx(cleared.at, abs=0.02)
        assert stopped.data["played_ms"] == cleared.data["played_ms"]


async def test_a_gap_that_the_network_makes_does_not_end_an_utterance_but_a_pause_does():
    async with world() as w:
        call, socket = await w.stream()
        await socket.media(100)
        await asyncio.sleep(0.15)
        await socket.media(100)
        first = await call.until("speech stopped")
        assert first.data["played_ms"] == 200
        await socket.media(60)
        second = await call.until(lambda n: n.what == "speech stopped" and n.at > first.at)
        assert second.data["played_ms"] == 60


async def test_speech_stops_exactly_when_its_last_sample_is_played():
    async with world() as w:
        call, socket = await w.stream()
        await socket.media(250)
        stopped = await call.until("speech stopped")
        started = await call.until("speech started")
        assert stopped.at - started.at == pytest.approx(0.25, abs=0.001)
        assert call.last_sound_at == pytest.approx(stopped.at, abs=0.001)


async def test_the_caller_hears_what_was_played_and_nothing_that_was_cleared():
    async with world() as w:
        call, socket = await w.stream()
        await socket.media(2000)
        await call.until("speech started")
        await asyncio.sleep(0.2)
        await socket.send("clear")
        cleared = await call.until("clear")
        await asyncio.sleep(0.1)
        heard = call.heard
        assert np.count_nonzero(heard) == pytest.approx(cleared.data["played_ms"] * 8, abs=8)


async def test_silence_is_no_dead_air_while_the_caller_speaks():
    async with world() as w:
        call, socket = await w.stream()
        await socket.media(200)
        await call.until("speech stopped")
        await call.say(tone(300, seconds=0.8))
        await asyncio.sleep(0.5)
        spoke = await call.until("speaks")
        *before, after = call.silences  # read once: the last one still grows
        assert after.start == pytest.approx(spoke.at + 0.8, abs=0.05)
        assert all(silence.end <= spoke.at + 0.05 for silence in before)


async def test_keys_go_into_the_stream_and_take_the_next_number():
    async with world() as w:
        call, socket = await w.stream()
        await socket.until("media", 2)
        await call.press("5")
        dtmf = (await socket.until("dtmf"))[0]
        assert dtmf["dtmf"] == {"track": "inbound_track", "digit": "5"}
        await socket.until("media", len(socket.of("media")) + 2)
        numbers = [int(e["sequenceNumber"]) for e in socket.events[1:]]
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "null",
        '{"event": "media", "streamSid": "SID"}',
        '{"event": "media", "streamSid": "SID", "media": {"payload": "***"}}',
        '{"event": "media", "streamSid": "SID", "media": {"payload": "/w==", "track": "outbound"}}',
        '{"event": "media", "streamSid": "MZ00", "media": {"payload": "/w=="}}',
        '{"event": "mark", "streamSid": "SID", "mark": {}}',
        '{"event": "clear"}',
        '{"event": "clear", "streamSid": "SID", "why": "extra"}',
        '{"event": "hangup", "streamSid": "SID"}',
    ],
)
async def test_a_message_that_twilio_does_not_know_is_ignored_with_one_warning(text: str):
    async with world() as w:
        call, socket = await w.stream()
        for _ in range(2):
            await socket.ws.send_str(text.replace("SID", socket.sid))
        await socket.mark("still here")
        await socket.until("mark")
        assert [code for code, _ in call.warnings] == [31951]
        assert not call.playing


async def test_a_binary_message_is_ignored_with_a_warning():
    async with world() as w:
        call, socket = await w.stream()
        await socket.ws.send_bytes(b"\x00" * 320)
        await socket.mark("still here")
        await socket.until("mark")
        assert [code for code, _ in call.warnings] == [31950]


async def test_more_than_ten_minutes_of_audio_are_thrown_away_with_a_warning():
    async with world() as w:
        call, socket = await w.stream()
        for _ in range(11):
            await socket.media(60_000)
        await socket.send("clear")
        cleared = await call.until("clear")
        assert [code for code, _ in call.warnings] == [31931]
        assert cleared.data["played_ms"] + cleared.data["dropped_ms"] == pytest.approx(600_000, abs=500)


async def test_hostile_messages_can_be_put_into_the_socket():
    async with world() as w:
        call, socket = await w.stream()
        await call.send_raw('{"event": "never heard of"}')
        assert (await socket.until("never heard of"))[0] == {"event": "never heard of"}


async def test_a_caller_who_hangs_up_sends_stop_and_closes():
    async with world() as w:
        call, socket = await w.stream()
        await call.hang_up()
        await call.ended()
        stop = (await socket.until("stop"))[0]
        assert stop["stop"] == {"accountSid": ACCOUNT, "callSid": call.sid}
        await asyncio.wait_for(socket.closed.wait(), 5)
        assert call.status == "completed"
        assert socket.events[-1] == stop


async def test_a_redirect_sends_stop_closes_and_runs_the_new_document():
    async with world() as w:
        call, socket = await w.stream()
        await socket.media(5000)
        await call.until("speech started")
        assert await w.redirect(call, "<Pause length='1'/><Say>Hello again.</Say>") == 200
        await socket.until("stop")
        await asyncio.wait_for(socket.closed.wait(), 5)
        await call.until("says")
        await call.ended()
        order = [n.what for n in w.journal.of(call.sid)]
        assert order.index("redirect") < order.index("stream ended") < order.index("says")


async def test_when_our_server_closes_the_next_verb_runs():
    async with world() as w:
        w.server.documents["/voice"] = document(STREAM + "<Say>You are back with us.</Say>")
        call, socket = await w.stream()
        await socket.ws.close()
        await call.until("says")
        await call.ended()
        assert call.errors == []
        assert not socket.of("stop")


async def test_when_our_server_closes_without_a_next_verb_the_call_is_hung_up():
    async with world() as w:
        call, socket = await w.stream()
        await socket.ws.close()
        await call.ended()
        assert call.status == "completed"


async def test_when_our_server_closes_the_action_of_connect_is_asked():
    async with world() as w:
        w.server.documents["/voice"] = document(STREAM.replace("<Connect>", '<Connect action="/after">'))
        w.server.documents["/after"] = document("<Hangup/>")
        call, socket = await w.stream()
        await socket.ws.close()
        await call.ended()
        asked = w.server.asked_for("/after")[0]
        assert asked.signed
        assert asked.form["StreamSid"] == socket.sid


async def test_when_our_server_vanishes_the_next_verb_runs_and_31903_is_noted():
    async with world() as w:
        w.server.documents["/voice"] = document(STREAM + f"<Dial>{ANNA}</Dial>")
        call, socket = await w.stream()
        transport = socket.ws._req.transport
        assert transport is not None
        transport.abort()
        await call.until("bridged")
        assert [code for code, _ in call.errors] == [31903]
        await call.hang_up()


async def test_a_close_code_that_means_trouble_is_noted_as_31921():
    async with world() as w:
        call, socket = await w.stream()
        await socket.ws.close(code=1011)
        await call.ended()
        assert [code for code, _ in call.errors] == [31921]


async def test_a_refused_upgrade_is_31920_and_the_next_verb_runs():
    async with world() as w:
        w.server.refuse_upgrades = True
        w.server.documents["/voice"] = document(STREAM + "<Say>Nobody is here.</Say>")
        call = await w.call()
        await call.until("says")
        assert [code for code, _ in call.errors] == [31920]


async def test_a_stream_address_with_a_query_is_refused_in_strict_mode_and_loses_it_otherwise():
    verbs = STREAM.replace("/media", "/media?token=t1")
    async with world() as w:
        w.server.documents["/voice"] = document(verbs)
        call = await w.call()
        await call.ended()
        assert [code for code, _ in call.errors] == [31920]
    async with world(strict=False) as w:
        w.server.documents["/voice"] = document(verbs)
        _, socket = await w.stream()
        assert socket.query == ""
        assert socket.signed


async def test_a_plain_ws_address_of_an_https_server_is_refused():
    async with world() as w:
        w.server.documents["/voice"] = document(STREAM.replace("wss:", "ws:"))
        call = await w.call()
        await call.ended()
        assert [code for code, _ in call.errors] == [31922]


async def test_a_stream_tells_its_status_callback():
    async with world() as w:
        attribute = f'name="one" statusCallback="{PUBLIC}/stream"'
        w.server.documents["/voice"] = document(STREAM.replace("<Stream", f"<Stream {attribute}"))
        w.server.documents["/stream"] = "<Response/>"
        call, socket = await w.stream()
        await call.hang_up()
        await call.ended()
        told = w.server.asked_for("/stream")
        assert sorted(asked.form["StreamEvent"] for asked in told) == ["stream-started", "stream-stopped"]
        assert all(asked.form["StreamSid"] == socket.sid for asked in told)


async def test_twenty_calls_at_once_each_keep_their_clock():
    async with world() as w:
        pairs = [await w.stream() for _ in range(20)]
        await asyncio.sleep(1.0)
        for call, socket in pairs:
            media = socket.of("media")
            assert [m["media"]["chunk"] for m in media] == [str(n + 1) for n in range(len(media))]
            started = (await call.until("stream started")).at
            assert len(media) == pytest.approx((w.journal.now() - started) * 50, abs=25)
