"""How a person is reached. Pure."""

from enum import StrEnum


class Mode(StrEnum):
    """How a person is reached."""

    DIAL = "dial"
    """The person's phone rings; answering it connects the caller."""

    SCREENED = "screened"
    """The person first hears who is calling and why, and presses 1 to take the call. The caller hears ringing."""

    ATTENDED = "attended"
    """As screened, and meanwhile the bot stays with the caller, who is moved only when somebody has taken the call."""

    INTRODUCE = "introduce"
    """As attended, and the two are introduced to each other as soon as they are together."""

    CONSULT = "consult"
    """As attended, and the person can talk with the bot about the caller before they decide."""

    QUEUE = "queue"
    """The caller waits in a queue, from which people take callers as they get round to it."""

    @property
    def bot_stays(self) -> bool:
        """Whether the person is called while the bot has the caller, who is moved only when they have said yes."""
        return self in (Mode.ATTENDED, Mode.INTRODUCE, Mode.CONSULT)
