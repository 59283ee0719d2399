"""Orders to Twilio to record one live call, and to stop. None of them raises, or holds up a caller for long."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from loguru import logger

from bot.call import Call, Phase
from bot.events import Event, Failure
from bot.recording_events import RecordingBegan, RecordingNotBegan, RecordingNotStopped, RecordingStopped
from bot.telephony import Ambiguous, CallGone, TelephonyError
from bot.twilio_rest import TwilioTelephony, plain_answers

STOP_SECONDS = 1.0
"""How long a caller who is to be moved waits, in silence, for the recording of the bot's part to end."""

STOP_PAUSES = (0.5, 2.0, 8.0)
"""How long after an order to stop in vain it is given again. Seconds; unlike a redirect, it cannot happen twice."""

CURRENT = "Twilio.CURRENT"
"""Stands for the recording of a call that is under way (Twilio: Recordings resource, update)."""

_NOTHING_ELSE = (Phase.REDIRECTING, Phase.RESCUE, Phase.CONNECTING)
"""The phases between the bot and whoever comes then: nothing but the bot's part can be under way in them, so that
`CURRENT` means it where its SID is not known."""

_SID = re.compile(r"RE[0-9a-fA-F]{32}")


class Recorder(Protocol):
    """What records calls. Its methods raise `TelephonyError`s, as orders to `bot.telephony.Telephony` do."""

    async def start(self, call_sid: str, callback: str) -> str:
        """Record a call from now on, each direction on a channel of its own. Returns the recording's address.

        Args:
            call_sid: The call.
            callback: Told when the recording is ready.
        """
        ...

    async def stop(self, call_sid: str, sid: str) -> None:
        """End a recording, by its SID or as `CURRENT`. `CallGone` where it has ended already."""
        ...


class TwilioRecorder:
    """`Recorder` on Twilio's library."""

    def __init__(self, twilio: TwilioTelephony) -> None:
        """Args: twilio: whose client is used, with its time limits and errors."""
        self._twilio = twilio

    async def start(self, call_sid: str, callback: str) -> str:
        """See `Recorder`."""
        client = self._twilio.client
        with plain_answers():
            made: Any = await client.calls(call_sid).recordings.create_async(
                recording_channels="dual", recording_status_callback=callback
            )
        if not isinstance(made.sid, str) or not _SID.fullmatch(made.sid):
            raise Ambiguous(None, 201, "Twilio's answer names no recording")
        return f"{client.api.base_url}/2010-04-01/Accounts/{client.account_sid}/Recordings/{made.sid}"

    async def stop(self, call_sid: str, sid: str) -> None:
        """See `Recorder`."""
        recording: Any = self._twilio.client.calls(call_sid).recordings(sid)
        with plain_answers():
            await recording.update_async(status="stopped")


class CallRecorder:
    """Carries out the orders of one call's law. Its answers are more facts of the call."""

    def __init__(
        self, recorder: Recorder | None, callback: Callable[[Call, int], str], clock: Callable[[], float]
    ) -> None:
        """Prepare.

        Args:
            recorder: Takes the orders; None where nothing can record: calls without Twilio.
            callback: The address that is told when a recording of the call, by its number, is ready.
            clock: Unix seconds.
        """
        self._recorder = recorder
        self._callback = callback
        self._clock = clock
        self._starting: dict[int, asyncio.Task[Event]] = {}
        self._stopping: set[asyncio.Task[Event]] = set()

    def start(self, call: Call, n: int) -> Awaitable[Event]:
        """Begin the call's `n`-th recording, from 1."""
        task = self._starting[n] = asyncio.create_task(self._start(call, n))
        return task

    def stop(self, call: Callable[[], Call], n: int) -> Awaitable[Event]:
        """End it, as soon as it is known to have begun."""
        task = asyncio.create_task(self._stop(call, n))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        return task

    async def stopped(self) -> None:
        """Wait a moment for the orders to stop that are under way, once for each: before the caller is moved."""
        stopping, self._stopping = self._stopping, set()
        if stopping:
            await asyncio.wait(stopping, timeout=STOP_SECONDS)

    async def _start(self, call: Call, n: int) -> Event:
        if self._recorder is None:
            return RecordingNotBegan(at=self._clock(), recording=n, failure=Failure.NOT_DONE)
        try:
            url = await self._recorder.start(call.sid, self._callback(call, n))
        except TelephonyError as error:
            logger.error("the call is not recorded, as far as Twilio says: {}", error)
            return RecordingNotBegan(at=self._clock(), recording=n, failure=_failure(error), code=error.code)
        return RecordingBegan(at=self._clock(), recording=n, url=url)

    async def _stop(self, call: Callable[[], Call], n: int) -> Event:
        url = ""
        if (starting := self._starting.pop(n, None)) is not None:
            await asyncio.wait({starting})
            begun = starting.result()
            url = begun.url if isinstance(begun, RecordingBegan) else ""
        answer = await self._order_stop(call(), n, url)
        for pause in STOP_PAUSES:
            if isinstance(answer, RecordingStopped):
                break
            await asyncio.sleep(pause)
            answer = await self._order_stop(call(), n, url)
        return answer

    async def _order_stop(self, call: Call, n: int, url: str) -> RecordingStopped | RecordingNotStopped:
        """Order it once."""
        now, recording = self._clock(), call.recordings[n - 1] if n <= len(call.recordings) else None
        if self._recorder is None or recording is None or recording.failed:
            return RecordingStopped(at=now, recording=n)  # it never ran
        sid = _SID.search(url or recording.url)
        if sid is None and call.phase not in _NOTHING_ELSE:
            return RecordingNotStopped(at=now, recording=n, failure=Failure.NOT_DONE)
        try:
            await self._recorder.stop(call.sid, sid[0] if sid is not None else CURRENT)
        except CallGone:
            pass  # it has ended already
        except TelephonyError as error:
            logger.error("Twilio did not confirm that a recording is stopped: {}", error)
            return RecordingNotStopped(at=self._clock(), recording=n, failure=_failure(error), code=error.code)
        return RecordingStopped(at=self._clock(), recording=n)


def _failure(error: TelephonyError) -> Failure:
    if isinstance(error, CallGone):
        return Failure.GONE
    return Failure.UNKNOWN if isinstance(error, Ambiguous) else Failure.NOT_DONE
