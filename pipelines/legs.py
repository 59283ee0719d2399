"""What a model leg is to the rest of the bot, and what it is given."""

from collections.abc import Sequence
from typing import Protocol

from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameProcessor

from pipelines.config import PipelineConfig
from pipelines.usage import Usage

FIRST_SIGN_SECONDS = 4.0
"""How long nothing at all may come when an answer is due."""

PROGRESS_SECONDS = 8.0
"""How long an answer that has begun may stand still: the model may think before it speaks."""


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
    """A model that listens and speaks, as processors around the user's turn.

    What a kind of leg cannot do it says when it is asked to, with an error; `pipelines/config.py` refuses at start what
    can be known then.
    """

    @property
    def ears(self) -> Sequence[FrameProcessor]:
        """What stands before the user's turn, in pipeline order: it makes words of the caller's sound."""
        ...

    @property
    def stages(self) -> Sequence[FrameProcessor]:
        """Between the user's turn and the output, in pipeline order."""
        ...

    @property
    def user_turns(self) -> LLMUserAggregatorParams:
        """How it is noticed that the caller speaks. To be asked for once."""
        ...

    @property
    def unspoken(self) -> str:
        """What the model has said of which no sound has come yet."""
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
        """Let go of all that it holds: it is not used any more, or never was."""

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
    def usage(self) -> Usage:
        """How many tokens the conversation has used."""
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

    async def adjust(self, config: PipelineConfig, instruction: str) -> None:
        """Speak another language, with another voice, or otherwise from now on, and go on talking.

        Args:
            config: The pipeline as it is to be.
            instruction: What the model is told, to which it answers.

        Raises:
            OSError: It cannot be done now.
        """

    async def prompt(self, instruction: str) -> None:
        """Tell the model something that the caller did not say, and have it answer."""

    async def write(self, text: str) -> None:
        """Take what the caller typed instead of saying it, and have the model answer."""

    async def note(self, text: str) -> None:
        """Tell the model something that the caller did not say, for its next answer."""
