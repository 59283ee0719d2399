"""The verbs that only a caller's leg knows: streams, recorders, and refusing the call."""

import asyncio
import math
import time
import xml.etree.ElementTree as ET

from sandbox.account import Account, Recording
from sandbox.caller import CallerLeg, PersonLeg
from sandbox.codec import RATE, Pcm
from sandbox.dial import Dial
from sandbox.documents import Document, DocumentRefused, flag, number
from sandbox.interpreter import Interpreter, Over, Step
from sandbox.leg import Fetch, HungUp, new_sid
from sandbox.progress import notify
from sandbox.queue import Wait
from sandbox.sound import BEEP
from sandbox.stream import MediaStream, StreamRefused

_LONGEST_PARAMETER = 500
"""Characters of name and value together (Twilio: TwiML `<Stream>`, `<Parameter>`)."""


class CallerInterpreter(Interpreter):
    """Runs documents on a caller's leg."""

    def __init__(self, leg: CallerLeg, account: Account, *, fallback_url: str | None = None) -> None:
        """Prepare; see `Interpreter`."""
        super().__init__(leg, account, fallback_url=fallback_url)
        self.leg: CallerLeg = leg
        self._verbs |= {
            "Connect": self._connect,
            "Dial": self._dial,
            "Enqueue": self._enqueue,
            "Record": self._record,
            "Reject": self._reject,
        }

    async def _dial(self, verb: ET.Element, document: Document) -> Step:
        return await Dial(self, self.leg, verb, document).run()

    async def _enqueue(self, verb: ET.Element, document: Document) -> Step:
        return await Wait(self, self.leg, verb, document).run()

    async def _reject(self, verb: ET.Element, document: Document) -> Over:
        """Refuse a call that is not answered yet, which costs nothing (Twilio: TwiML `<Reject>`)."""
        if self.leg.answered_at is None:
            self.leg.end("busy" if verb.get("reason") == "busy" else "no-answer")
        return Over.HUNG_UP

    # --- streams ---

    async def _connect(self, verb: ET.Element, document: Document) -> Step:
        """Talk to our server until it, the caller or REST ends that (Twilio: TwiML `<Connect>`)."""
        nouns = verb.findall("Stream")
        if len(nouns) != 1:
            raise DocumentRefused(12200, "<Connect> holds exactly one <Stream>")
        noun = nouns[0]
        self.leg.answer()
        fields: dict[str, str] = {}
        try:
            stream = self._stream(noun)
            fields["StreamSid"] = stream.sid
            error = await self._talk(noun, stream)
        except StreamRefused as refused:
            error = (refused.code, str(refused))
            self._tell(noun, "stream-error", fields, StreamError=str(refused))
        if error is not None:
            self.leg.fail(*error)
            fields["StreamError"] = error[1]
        return self.action(verb, document, **fields) if verb.get("action") else None

    def _stream(self, noun: ET.Element) -> MediaStream:
        url = noun.get("url", "")
        if noun.get("track", "inbound_track") != "inbound_track":
            raise StreamRefused(31941, f"<Connect> knows no track {noun.get('track')!r}")
        if not url.startswith(("wss://", "ws://")):
            raise StreamRefused(31922, f"{url!r} is not a WebSocket address")
        # Twilio removes the query without a word: what was in it never arrives.
        url, question, _ = url.partition("?")
        if question and self.account.strict:
            raise StreamRefused(31920, "the address of a <Stream> has no query")
        parameters = {p.get("name", ""): p.get("value", "") for p in noun.findall("Parameter")}
        for name, value in parameters.items():
            if len(name) + len(value) > _LONGEST_PARAMETER:
                raise StreamRefused(31923, f"parameter {name!r} is too long")
        return MediaStream(self.leg, self.account.webhooks, url, parameters, self.leg.hum)

    async def _talk(self, noun: ET.Element, stream: MediaStream) -> tuple[int, str] | None:
        """Run a stream to its end. Returns what was wrong with that."""
        fields = {"StreamSid": stream.sid}
        self.leg.stream = stream
        pressing: asyncio.Task[None] | None = None
        try:
            await self.leg.unless_interrupted(stream.open())
            self._tell(noun, "stream-started", fields)
            if isinstance(self.leg, PersonLeg) and self.leg.presses_by_habit:
                pressing = asyncio.create_task(self.leg.press_by_habit())
            end = await self.leg.unless_interrupted(stream.closed())
        finally:
            if pressing is not None:
                pressing.cancel()
            self.leg.stream = None
            if stream.is_open:
                self._tell(noun, "stream-stopped", fields)
            await stream.stop()
        if end.error is None:
            return None
        return end.error, f"our server ended the stream with close code {end.code}"

    def _tell(self, noun: ET.Element, event: str, fields: dict[str, str], **more: str) -> None:
        """Tell the stream's status callback, if there is one."""
        url = noun.get("statusCallback")
        if url is not None:
            event_fields = {"StreamEvent": event, "StreamName": noun.get("name", "")}
            form = self.leg.form() | fields | event_fields | more
            method = noun.get("statusCallbackMethod", "POST")
            self.leg.background(notify(self.account.webhooks, self.leg, url, form, method))

    # --- recorders ---

    async def _record(self, verb: ET.Element, document: Document) -> Step:
        """Record the caller; an empty recording is none (Twilio: TwiML `<Record>`)."""
        if flag(verb, "playBeep", default=True):
            await self.let_hear(BEEP)
        self.leg.answer()
        mouth = self.leg.mouth
        start = mouth.now
        self.leg.journal.note("network", "recording", self.leg.sid)
        try:
            with self.leg.covered(), self.leg.listening() as keys:
                digits = await self.leg.unless_interrupted(self._until_recorded(verb, keys))
        except HungUp:
            recording = self._keep(verb, mouth.read(start, mouth.now))
            if recording is not None:  # the caller is gone: the answer changes nothing
                await self.ask_in_vain(self._action(verb, document, recording, "hangup"))
            raise
        recording = self._keep(verb, mouth.read(start, mouth.now))
        return None if recording is None else self._action(verb, document, recording, digits)

    async def _until_recorded(self, verb: ET.Element, keys: asyncio.Queue[str]) -> str:
        """Wait for the end of a message. Returns the key that ended it, if one did."""
        mouth = self.leg.mouth
        clock = time.monotonic
        longest = clock() + number(verb, "maxLength", 3600)
        timeout = number(verb, "timeout", 5)
        finish = verb.get("finishOnKey", "1234567890*#")
        silent_since = clock()
        while True:
            silent_since = max(silent_since, mouth.time(mouth.end))
            left = min(silent_since + timeout, longest) - clock()
            if left <= 0:
                return ""
            try:
                key = await asyncio.wait_for(keys.get(), left)
            except TimeoutError:
                continue
            if key in finish:
                return key

    def _keep(self, verb: ET.Element, pcm: Pcm | None) -> Recording | None:
        """Keep a message, and tell the recording's status callback, if there is one."""
        if pcm is None:
            return None
        recording = Recording(new_sid("RE"), self.leg.sid, pcm)
        self.account.recordings[recording.sid] = recording
        seconds = round(len(pcm) / RATE, 2)
        self.leg.journal.note("network", "recorded", self.leg.sid, sid=recording.sid, seconds=seconds)
        url = verb.get("recordingStatusCallback")
        if url is not None:
            form = self.leg.form() | self._facts(recording) | {"RecordingStatus": "completed"}
            method = verb.get("recordingStatusCallbackMethod", "POST")
            self.leg.background(notify(self.account.webhooks, self.leg, url, form, method))
        return recording

    def _action(self, verb: ET.Element, document: Document, recording: Recording, digits: str) -> Fetch:
        return self.action(verb, document, **self._facts(recording), Digits=digits)

    def _facts(self, recording: Recording) -> dict[str, str]:
        return {
            "RecordingUrl": f"{self.account.rest_url}{self.account.path}/Recordings/{recording.sid}",
            "RecordingSid": recording.sid,
            "RecordingDuration": str(math.ceil(len(recording.pcm) / RATE)),
        }
