"""What a model leg is to the rest of the bot, and what it is given."""

from collections.abc import Sequence
from typing import Protocol

from pipecat.processors.frame_processor import FrameProcessor


class Heard(Protocol):
    """How much of the bot's speech the caller has heard."""

    def position(self) -> tuple[int | None, int]:
        """The utterance that is being played and the milliseconds of it that were heard.

        An utterance is named by the `id` of the `TTSStartedFrame` that began it; None before the first.
        """
        ...


class Leg(Protocol):
    """A model that listens and speaks, as the processors between the user's and the assistant's turn."""

    @property
    def stages(self) -> Sequence[FrameProcessor]:
        """In pipeline order."""
        ...

    def listen(self, on: bool) -> None:
        """Whether the model hears the caller."""

    async def prompt(self, instruction: str) -> None:
        """Tell the model something that the caller did not say, and have it answer."""
