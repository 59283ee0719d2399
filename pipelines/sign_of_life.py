"""Does a model of which nothing comes still live? One that hangs is as quiet as one that listens to the caller."""

import time

from pipelines.model_socket import ModelSocket

QUIET_SECONDS = 2.5
"""How long nothing may come when nothing is due, until the model is asked."""

SIGN_SECONDS = 2.0
"""How long its answer may take."""

QUESTION = b'{"type":"session.update","session":{"type":"realtime"}}'
"""Changes nothing, and is always answered with `session.updated` (OpenAI: Realtime client events, `session.update`)."""


class SignOfLife:
    """Asks one session of the model, whenever it has been quiet.

    The first question is put while the session evidently lives. Silence is held only against a model that has answered
    that one: an endpoint that speaks the protocol and leaves such questions unanswered is not taken for dead.
    """

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self._asked_at: float | None = None
        self._updates = 0

    @property
    def overdue(self) -> str | None:
        """In words, that the answer has not come; None while it may still."""
        late = self._asked_at is not None and time.monotonic() - self._asked_at > SIGN_SECONDS
        return "no sign of life" if late else None

    def session_updated(self, socket: ModelSocket) -> None:
        """The answer to the session's own configuration has come, or the one to a question."""
        self._updates += 1
        if self._updates == 1:
            socket.send_now(QUESTION)

    def look(self, socket: ModelSocket) -> None:
        """Ask, if need be. To be called now and then, while nothing is due."""
        now = time.monotonic()
        if self._asked_at is not None and socket.heard_at > self._asked_at:
            self._asked_at = None
        if self._asked_at is None and self._updates > 1 and now - socket.heard_at > QUIET_SECONDS:
            self._asked_at = now
            socket.send_now(QUESTION)

    def something_is_due(self) -> None:
        """Nothing need be asked: whether what is due comes is sign enough."""
        self._asked_at = None

    def begin(self) -> None:
        """Another session."""
        self._asked_at, self._updates = None, 0
