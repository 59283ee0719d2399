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

    QUEUE = "queue"
    """The caller waits in a queue, from which people take callers as they get round to it."""
