"""The leg on any speech-to-speech service of Pipecat's: its sound travels in frames, and it does what it can.

It is given instructions, tools and the conversation; the taps tell what becomes of it. What such services have no way
to do is a new session that goes on: when one breaks, the next pipeline of `fallback` takes over, or a person.
"""

import inspect
from typing import Any

from pipelines.frame_leg import FrameLeg


class SpeechLeg(FrameLeg):
    """A `Leg` of one service."""


def can_be_told(cls: type[Any]) -> bool:
    """Whether a class of Pipecat's speaks on a message that is added to a conversation which is under way."""
    for parent in cls.__mro__:
        handler = vars(parent).get("_handle_messages_append")
        if handler is not None:
            return "not yet supported" not in inspect.getsource(handler)
    return False
