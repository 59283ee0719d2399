"""The law when a caller's message has been written down. Pure.

Part of `bot/law.py`, whose rules bind here. The call is over then, as a rule; what it knows of its message goes on.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.call import Call
from bot.effects import Step
from bot.events import Event, ImpossibleEvent, MessageTranscribed
from bot.routing import Policy


def message_transcribed(call: Call, event: MessageTranscribed, policy: Policy) -> Step:
    """What came of it. The first who tells is right."""
    if call.message is None:
        raise ImpossibleEvent(call, event)
    if call.message.transcription is not None or not call.message.url:
        return call, ()  # told twice, or the message has been forgotten meanwhile
    message = replace(call.message, transcription=event.transcription, text=event.text)
    return replace(call, message=message), ()


TRANSCRIBED: dict[type[Event], Callable[[Call, Any, Policy], Step]] = {MessageTranscribed: message_transcribed}
"""The handler of this fact, for `bot.law`."""
