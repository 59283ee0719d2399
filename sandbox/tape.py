"""Recordings of calls: what Twilio keeps of what was said, and what it tells of that when it is done.

Source of every protocol fact here: Twilio: Recordings resource; Twilio: TwiML `<Dial>` and `<Conference>`, `record`.
"""

import asyncio
import math
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

import numpy as np

from sandbox.account import Account, Recording
from sandbox.codec import RATE, Pcm, mix
from sandbox.documents import Document, DocumentRefused
from sandbox.leg import Leg, new_sid
from sandbox.progress import notify


@dataclass(frozen=True, slots=True)
class Callback:
    """Who is told of a recording."""

    url: str
    """In its public form."""

    method: str = "POST"
    events: frozenset[str] = frozenset({"completed"})


def wanted(
    element: ET.Element, document: Document, resolve: Callable[[Document, str], str], values: tuple[str, ...]
) -> tuple[str, Callback | None] | None:
    """How a verb or noun wants to be recorded, and who is told; None where it does not.

    Args:
        element: The `<Dial>` or `<Conference>`.
        document: Where it stands.
        resolve: Makes an address in it a whole one.
        values: What its `record` may be.

    Raises:
        DocumentRefused: 12200, it is something else.
    """
    how = element.get("record", "do-not-record")
    if how not in ("do-not-record", *values):
        raise DocumentRefused(12200, f"<{element.tag} record={how!r}> is no value of it")
    if element.get("trim", "trim-silence") not in ("trim-silence", "do-not-trim"):
        raise DocumentRefused(12200, f"<{element.tag} trim={element.get('trim')!r}> is no value of it")
    if how == "do-not-record":
        return None
    url = element.get("recordingStatusCallback")
    if url is None:
        return how, None
    events = frozenset(element.get("recordingStatusCallbackEvent", "completed").split())
    return how, Callback(resolve(document, url), element.get("recordingStatusCallbackMethod", "POST"), events)


class Tape:
    """A recording under way: both directions of a leg's line, until it is stopped or the leg is over.

    Attributes:
        sid: The recording's SID.
        status: As Twilio names it: `in-progress`, `stopped` or `completed`.
    """

    def __init__(
        self,
        account: Account,
        leg: Leg,
        *,
        source: str,
        channels: int,
        callback: Callback | None = None,
        conference_sid: str | None = None,
    ) -> None:
        """It runs from now on.

        Args:
            account: The account whose recording it is.
            leg: The caller's leg. What the caller says is the first channel, what they hear the second.
            source: How it came about, in Twilio's word.
            channels: 2, or 1 for both directions on top of each other.
            callback: Who is told.
            conference_sid: The conference, where that is recorded and not the call.
        """
        self.sid = new_sid("RE")
        self.status = "in-progress"
        self.source = source
        self.channels = channels
        self.leg = leg
        self.conference_sid = conference_sid
        self.began_at = datetime.now(UTC)
        self.seconds: int | None = None
        self._account = account
        self._callback = callback
        self._starts = leg.mouth.now, leg.ear.now
        self._stopped = asyncio.Event()
        account.tapes[self.sid] = self
        leg.journal.note("network", "recording starts", leg.scene_sid, sid=self.sid, source=source)
        self._tell("in-progress")
        leg.background(self._run(leg.over.wait()))

    @property
    def url(self) -> str:
        """The recording's address, without an ending."""
        return f"{self._account.rest_url}{self._account.path}/Recordings/{self.sid}"

    def stop(self) -> None:
        """It is complete. Idempotent."""
        if self.status != "in-progress":
            return
        self.status = "completed"
        leg = self.leg
        n = min(leg.mouth.now - self._starts[0], leg.ear.now - self._starts[1])
        said, heard = (
            track.read(start, start + n) for track, start in zip((leg.mouth, leg.ear), self._starts, strict=True)
        )
        sounds = [_whole(said, n), _whole(heard, n)]
        self.seconds = math.ceil(n / RATE)
        pcm = np.stack(sounds, axis=1) if self.channels == 2 else mix(*sounds)
        self._account.recordings[self.sid] = Recording(self.sid, leg.scene_sid, pcm, self.source)
        leg.journal.note("network", "recording ends", leg.scene_sid, sid=self.sid, seconds=round(n / RATE, 2))
        self._tell("completed")
        self._stopped.set()

    async def _run(self, over: Awaitable[object]) -> None:
        """Whatever else happens, it is over when the leg is."""
        ends = [asyncio.ensure_future(over), asyncio.ensure_future(self._stopped.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()
        self.stop()

    def _tell(self, status: str) -> None:
        if self._callback is None or status not in self._callback.events:
            return
        form = {
            "AccountSid": self._account.sid,
            "RecordingSid": self.sid,
            "RecordingUrl": self.url,
            "RecordingStatus": status,
            "RecordingChannels": str(self.channels),
            "RecordingSource": self.source,
            "RecordingTrack": "both",
            "RecordingStartTime": format_datetime(self.began_at),
            "ErrorCode": "0",
            **({"RecordingDuration": str(self.seconds)} if self.seconds is not None else {}),
            **({"ConferenceSid": self.conference_sid} if self.conference_sid else {"CallSid": self.leg.sid}),
        }
        work = notify(self._account.webhooks, self.leg, self._callback.url, form, self._callback.method)
        self.leg.background(work)

    def resource(self) -> dict[str, object]:
        """It as REST tells it."""
        began = format_datetime(self.began_at)
        return {
            "sid": self.sid,
            "account_sid": self._account.sid,
            "call_sid": self.leg.sid,
            "conference_sid": self.conference_sid,
            "api_version": "2010-04-01",
            "channels": self.channels,
            "track": "both",
            "date_created": began,
            "date_updated": format_datetime(datetime.now(UTC)),
            "start_time": began,
            "duration": None if self.seconds is None else str(self.seconds),
            "price": None,
            "price_unit": None,
            "source": self.source,
            "status": self.status,
            "error_code": None,
            "encryption_details": None,
            "uri": f"{self._account.path}/Calls/{self.leg.sid}/Recordings/{self.sid}.json",
        }


def _whole(sound: Pcm | None, n: int) -> Pcm:
    return np.zeros(n, dtype=np.int16) if sound is None else sound
