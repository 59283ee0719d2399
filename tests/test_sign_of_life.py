"""A model that is quiet is asked whether it lives."""

from typing import cast

import pytest

from pipelines import sign_of_life
from pipelines.model_socket import ModelSocket
from pipelines.sign_of_life import QUESTION, QUIET_SECONDS, SIGN_SECONDS, SignOfLife


class Socket:
    def __init__(self) -> None:
        self.heard_at = 100.0
        self.sent: list[bytes] = []

    def send_now(self, message: bytes) -> None:
        self.sent.append(message)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    now = {"now": 100.0}
    monkeypatch.setattr(sign_of_life.time, "monotonic", lambda: now["now"])
    return now


def knows_the_question() -> tuple[SignOfLife, Socket]:
    """A session whose model has answered the first question."""
    sign, socket = SignOfLife(), Socket()
    sign.session_updated(cast(ModelSocket, socket))
    assert socket.sent == [QUESTION]
    sign.session_updated(cast(ModelSocket, socket))
    socket.sent.clear()
    return sign, socket


def test_a_model_that_does_not_answer_the_question_is_overdue(clock):
    sign, socket = knows_the_question()
    for _ in range(12):
        clock["now"] += 0.5
        sign.look(cast(ModelSocket, socket))
    assert socket.sent == [QUESTION]
    assert sign.overdue
    sign.something_is_due()
    assert sign.overdue is None


def test_a_model_that_has_never_answered_such_a_question_is_not_taken_for_dead(clock):
    sign, socket = SignOfLife(), Socket()
    sign.session_updated(cast(ModelSocket, socket))
    for _ in range(60):
        clock["now"] += 0.5
        sign.look(cast(ModelSocket, socket))
        assert sign.overdue is None
    assert socket.sent == [QUESTION]


def test_each_session_has_to_answer_anew(clock):
    sign, socket = knows_the_question()
    sign.begin()
    clock["now"] += 60
    sign.look(cast(ModelSocket, socket))
    assert socket.sent == []


def test_a_model_that_answers_is_asked_again_after_the_next_quiet_time(clock):
    sign, socket = knows_the_question()
    for _ in range(60):
        clock["now"] += 0.5
        asked = len(socket.sent)
        sign.look(cast(ModelSocket, socket))
        if len(socket.sent) > asked:
            clock["now"] += SIGN_SECONDS / 2
            socket.heard_at = clock["now"]
        assert sign.overdue is None
    assert 5 < len(socket.sent) < 30 / QUIET_SECONDS


def test_a_model_that_speaks_is_not_asked(clock):
    sign, socket = knows_the_question()
    for _ in range(60):
        clock["now"] += 0.5
        socket.heard_at = clock["now"] - 0.1
        sign.look(cast(ModelSocket, socket))
    assert socket.sent == []
