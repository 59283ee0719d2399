"""What a model leg is to the rest of the bot, and what it is given."""

from collections.abc import Sequence
from typing import Protocol

from pipecat.processors.frame_processor import FrameProcessor


class Earpiece(Protocol):
    """The caller's ear. Positions are milliseconds of audio since the stream began."""

    @property
    def sent_ms(self) -> float:
        """How much was sent to the caller's telephone, which plays it in its own time."""
        ...

    @property
    def heard_ms(self) -> float:
        """Up to where the caller has heard it."""
        ...

    def play(self, payload: str) -> None:
        """Play µ-law of 8 kHz, in base64, behind what was sent before."""

    def words(self, text: str) -> None:
        """Say what is being played, in words, as far as it is known."""

    def finish(self) -> None:
        """End the utterance: what is played and said from now on is another one."""

    def clear(self) -> None:
        """Throw away what was sent and not heard."""


class Leg(Protocol):
    """A model that listens and speaks, as the processors between the user's and the assistant's turn."""

    @property
    def stages(self) -> Sequence[FrameProcessor]:
        """In pipeline order."""
        ...

    @property
    def takes_frames(self) -> bool:
        """Whether its processors take the caller's audio as frames; otherwise `hear` takes it as it comes."""
        ...

    async def open(self) -> None:
        """Do ahead of the pipeline what takes time, such as connecting. It may be called once, or not at all.

        Raises:
            OSError: The model cannot be reached. The leg may be used all the same and tells the pipeline so.
        """

    async def close(self) -> None:
        """Undo `open`, for a leg that is not used after all."""

    def speak_to(self, earpiece: Earpiece) -> None:
        """Give it the caller's ear, before the pipeline starts."""

    def hear(self, payload: str) -> None:
        """Take 20 ms of the caller's audio: µ-law of 8 kHz in base64. The text is checked to be that."""

    def listen(self, on: bool) -> None:
        """Whether the model hears the caller."""

    @property
    def waiting_seconds(self) -> float:
        """For how long an answer has been due of which nothing more has come; 0 while none is."""
        ...

    @property
    def overdue(self) -> str | None:
        """In words, what the model should have sent by now; None while nothing is."""
        ...

    def want_sign(self) -> None:
        """Ask a model of which nothing comes, while nothing is due, whether it lives. To be called now and then."""

    @property
    def tokens_used(self) -> int:
        """How many tokens the conversation has used, of all kinds together."""
        ...

    @property
    def ends_soon(self) -> bool:
        """Whether the model's session is near the end that the model has set it."""
        ...

    @property
    def resting(self) -> bool:
        """Whether neither the caller nor the model is saying anything that a new session would miss."""
        ...

    async def renew(self, instruction: str | None) -> None:
        """Begin a new session that knows the conversation so far.

        Args:
            instruction: How to go on, for a model that shall speak at once; it may be empty. None for one that shall
                wait for the caller.

        Raises:
            OSError: There is no new session.
        """

    async def prompt(self, instruction: str) -> None:
        """Tell the model something that the caller did not say, and have it answer."""
