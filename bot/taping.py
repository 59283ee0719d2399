"""The law of what is recorded: it follows from who has the caller. Pure.

Part of `bot/law.py`, whose rules bind here. Nothing that goes wrong with a recording changes who has the caller.

The bot's part begins with its media stream, and is to end before the caller is moved: the order to stop comes with the
document that moves them, and whoever delivers that waits a moment for it. A person who takes the caller out of a
`<Dial>` without a word in their ear, or in a conference, is recorded by that document itself, which needs no server of
ours. A whisper is not to be in the recording, nor is the music of a queue: there it begins by an order, when the person
has taken the call.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.call import BOT_PHASES, Call, Phase, latest_open
from bot.effects import Effect, StartRecording, Step, StopRecording
from bot.events import Event, Failure, ImpossibleEvent
from bot.recorded import Part, Recording
from bot.recording_events import (
    RecordingBegan,
    RecordingNotBegan,
    RecordingNotStopped,
    RecordingReady,
    RecordingStopped,
)
from bot.routing import Mode, Policy, resolve

OVERRUN_SECONDS = 2.0
"""So much longer than until the caller left the bot a recording of it may be: Twilio gives whole seconds, rounded up,
and to stop it takes a moment."""

_WITH_BOT = (*BOT_PHASES, Phase.CLOSING)


def settle_recordings(call: Call, at: float, policy: Policy) -> Step:
    """Begin and end recordings, so that they fit who has the caller now."""
    if call.phase is Phase.ENDED:
        return call, ()  # Twilio ends them with the call
    effects: list[Effect] = []
    for n, each in enumerate(call.recordings, 1):
        runs = each.left_at is None and each.seconds is None and not each.failed
        if runs and not _fits(call, each):
            call = _change(call, n, left_at=at)
            effects.append(StopRecording(n))
    new = _due(call, at, policy)
    if new is not None:
        call = replace(call, recordings=(*call.recordings, new))
        effects.append(StartRecording(len(call.recordings)))
    return call, tuple(effects)


def _fits(call: Call, recording: Recording) -> bool:
    """Whether who is recorded still has the caller."""
    if recording.part is Part.PERSON:
        return call.phase is (Phase.PERSON if recording.attempt or not recording.leg else Phase.JOINED)
    return call.phase in _WITH_BOT and call.stream_open and call.leg == recording.leg


def _due(call: Call, at: float, policy: Policy) -> Recording | None:
    """What is to be recorded from now on and is not, if anything."""
    with_bot = policy.recording.bot and call.phase in (Phase.BOT, Phase.SEEKING)
    if call.stream_open and (with_bot or (policy.recording.person and call.phase is Phase.JOINED)):
        part = Part.BOT if with_bot else Part.PERSON
        kept = [each for each in call.recordings if each.part is part and each.leg == call.leg]
        return None if any(each.left_at is None for each in kept) else Recording(part, at, leg=call.leg)
    n = latest_open(call)
    if not policy.recording.person or call.phase is not Phase.PERSON or n == 0:
        return None
    attempt = call.attempts[n - 1]
    by_document = attempt.attended or attempt.failsafe or resolve(policy, attempt.target).mode is Mode.DIAL
    begun = any(each.part is Part.PERSON and each.attempt == n and each.left_at is None for each in call.recordings)
    return None if by_document or begun else Recording(Part.PERSON, at, attempt=n)


def _change(call: Call, n: int, **changes: Any) -> Call:
    changed = replace(call.recordings[n - 1], **changes)
    return replace(call, recordings=(*call.recordings[: n - 1], changed, *call.recordings[n:]))


def _known(call: Call, event: Event, n: int) -> Recording:
    """The recording that an order's answer speaks of."""
    if not 0 < n <= len(call.recordings):
        raise ImpossibleEvent(call, event)
    return call.recordings[n - 1]


def recording_began(call: Call, event: RecordingBegan, policy: Policy) -> Step:
    """It has a name. One that is to have ended by now gets its order once more: the first may not have known which."""
    recording = _known(call, event, event.recording)
    if recording.url:
        return call, ()
    call = _change(call, event.recording, url=event.url, began_at=event.at)
    late = recording.left_at is not None and call.phase is not Phase.ENDED
    return call, (StopRecording(event.recording),) if late else ()


def recording_not_began(call: Call, event: RecordingNotBegan, policy: Policy) -> Step:
    """It does not run; or nobody knows, and it is told to end all the same when the caller leaves the bot."""
    recording = _known(call, event, event.recording)
    if recording.url or event.failure is Failure.UNKNOWN:
        return call, ()
    return _change(call, event.recording, failed=True), ()


def recording_stopped(call: Call, event: RecordingStopped, policy: Policy) -> Step:
    """The journal has it; how long it is, Twilio tells when it is ready."""
    _known(call, event, event.recording)
    return call, ()


def recording_not_stopped(call: Call, event: RecordingNotStopped, policy: Policy) -> Step:
    """The journal has it; whether it ran on, its length tells."""
    _known(call, event, event.recording)
    return call, ()


def recording_ready(call: Call, event: RecordingReady, policy: Policy) -> Step:
    """It can be heard. That is told when the call is long over, too, and of recordings that no order began."""
    if any(each.url == event.url and each.seconds is not None for each in call.recordings):
        return call, ()  # told twice
    n, call = _place(call, event)
    recording = call.recordings[n - 1]
    began_at = recording.began_at or event.began_at  # the order's answer is more exact
    ends_at = began_at + event.seconds
    overran = recording.left_at is not None and ends_at > recording.left_at + OVERRUN_SECONDS
    return _change(call, n, url=event.url, seconds=event.seconds, began_at=began_at, failed=False, overran=overran), ()


def _place(call: Call, event: RecordingReady) -> tuple[int, Call]:
    """Which recording it is, from 1; a new one where the call knows none that it could be."""
    n = event.recording
    if 0 < n <= len(call.recordings):
        ordered = call.recordings[n - 1]
        if ordered.part is event.part and ordered.seconds is None and ordered.url in ("", event.url):
            return n, call
    new = Recording(event.part, event.at, attempt=event.attempt)
    call = replace(call, recordings=(*call.recordings, new))
    return len(call.recordings), call


TAPING: dict[type[Event], Callable[[Call, Any, Policy], Step]] = {
    RecordingBegan: recording_began,
    RecordingNotBegan: recording_not_began,
    RecordingStopped: recording_stopped,
    RecordingNotStopped: recording_not_stopped,
    RecordingReady: recording_ready,
}
"""What the law does with these facts."""
