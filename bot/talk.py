"""What a call's session can ask of who talks on its media stream: the bot's pipeline, or a supervisor in its place."""

from typing import Protocol


class Conversation(Protocol):
    """Who talks with the caller, as the call's session sees them. None of these waits for anything."""

    def say_goodbye(self, handoff: int) -> None:
        """Have the goodbye said unless it is being said; report `GoodbyeHeard` or `GoodbyeInterrupted`."""

    def say_farewell(self, farewell: int, *, prompted: bool) -> None:
        """Have the last words said, asking for them where prompted; report `FarewellHeard`."""

    def advise(self, text: str) -> None:
        """Tell the bot something that the caller does not hear."""

    def listen_again(self, advice: str) -> None:
        """Open the bot's ears again and tell it why."""

    def tell(self, text: str) -> None:
        """Let the bot know something, without making it speak."""

    def renew_model(self, renewal: int) -> None:
        """Let a new session of the model take over; report `ModelRenewed` or `ModelLost`."""

    def adjust(self, change: str) -> None:
        """Go on in another language, with another voice, or otherwise as a change of the pipeline says."""

    def change_model(self, model: int, renewal: int) -> None:
        """Let another pipeline take over; report `ModelRenewed` or `ModelLost`."""

    def relay(self, audio: bytes) -> None:
        """Let the caller hear what the supervisor who has the bot's place says: µ-law of 8 kHz."""

    def give_way(self) -> None:
        """Leave the stream, which stays open, to who comes next."""

    def close(self) -> None:
        """Close the media socket from our side."""
