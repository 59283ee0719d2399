"""Recordings in REST (Twilio: Recordings resource)."""

import io
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.account import Account
from sandbox.codec import write_wav
from sandbox.leg import Leg
from sandbox.rest_answers import Refusal, page
from sandbox.tape import Callback, Tape

CURRENT = "Twilio.CURRENT"
"""Stands for the recording of a call that is under way."""

_EVENTS = {"in-progress", "completed", "absent"}


class RecordingsResource:
    """What REST answers about recordings."""

    def __init__(self, account: Account) -> None:
        """Args: account: whose they are."""
        self._account = account

    async def create(self, request: web.Request) -> tuple[int, object]:
        """Record a call from now on. What Twilio does with a call that is recorded already is its secret: two are."""
        leg = self._leg(request)
        form = {name: str(value) for name, value in (await request.post()).items()}
        channels, url = form.get("RecordingChannels", "mono"), form.get("RecordingStatusCallback")
        events = form.get("RecordingStatusCallbackEvent", "completed").split()
        if channels not in ("mono", "dual"):
            raise Refusal(400, 20001, f"{channels!r} is no value of RecordingChannels")
        if form.get("RecordingTrack", "both") != "both":
            raise Refusal(400, 20001, "the sandbox records both tracks")
        if not set(events) <= _EVENTS:
            raise Refusal(400, 20001, f"{' '.join(events)!r} is no value of RecordingStatusCallbackEvent")
        if url is not None and urlsplit(url).scheme not in ("http", "https"):
            raise Refusal(400, 21205, f"{url!r} is not a valid URL")
        if leg.status != "in-progress":
            raise Refusal(400, 21220, "Requested resource is not eligible for recording")
        callback = None
        if url is not None:
            callback = Callback(url, form.get("RecordingStatusCallbackMethod", "POST"), frozenset(events))
        source, number = "StartCallRecordingAPI", 2 if channels == "dual" else 1
        return 201, Tape(self._account, leg, source=source, channels=number, callback=callback).resource()

    async def list(self, request: web.Request) -> tuple[int, object]:
        """All recordings of a call."""
        leg = self._leg(request)
        items = [tape.resource() for tape in reversed(self._account.tapes.values()) if tape.leg is leg]
        return 200, page("recordings", f"{self._account.path}/Calls/{leg.sid}/Recordings.json", items)

    async def update(self, request: web.Request) -> tuple[int, object]:
        """End a recording; one that has ended is not there any more for this."""
        leg, name = self._leg(request), request.match_info["name"]
        status = str((await request.post()).get("Status", ""))
        if status != "stopped":
            raise Refusal(400, 20001, f"{status!r}: the sandbox stops recordings and does not pause them")
        running = [tape for tape in self._account.tapes.values() if tape.leg is leg and tape.status == "in-progress"]
        meant = running[-1:] if name == CURRENT else [tape for tape in running if tape.sid == name]
        if not meant:
            raise self._unknown(request)
        meant[0].stop()
        return 200, meant[0].resource() | {"status": "stopped"}

    async def delete(self, request: web.Request) -> tuple[int, object]:
        """Delete a recording that is complete."""
        tape = self._account.tapes.get(request.match_info["name"])
        if tape is not None and tape.status == "in-progress":
            raise Refusal(400, 20001, "a recording that is under way cannot be deleted")
        if self._account.recordings.pop(request.match_info["name"], None) is None:
            raise self._unknown(request)
        return 204, None

    async def media(self, request: web.Request) -> web.Response:
        """A recording as a WAV file; Twilio asks for no credentials here unless it is told to."""
        recording = self._account.recordings.get(request.match_info["name"])
        if recording is None:
            raise web.HTTPNotFound
        wav = io.BytesIO()
        write_wav(wav, recording.pcm)
        return web.Response(body=wav.getvalue(), content_type="audio/x-wav")

    def _leg(self, request: web.Request) -> Leg:
        leg = self._account.legs.get(request.match_info["sid"])
        if leg is None:
            raise self._unknown(request)
        return leg

    def _unknown(self, request: web.Request) -> Refusal:
        return Refusal(404, 20404, f"The requested resource {request.path} was not found")
