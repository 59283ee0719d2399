"""A piece of news of calls, as the processes on one record tell it each other; see `bot/feed.py`."""

from dataclasses import dataclass, field
from typing import Any, Literal

from bot.call import Call

_Happening = Literal[
    "call", "said", "words", "speaks", "measured", "listens", "beat", "switch", "forgotten", "missed", "logged_out"
]
Kind = _Happening | Literal["order", "done", "looks"]


@dataclass(frozen=True, slots=True)
class News:
    """One piece of news."""

    kind: Kind
    """`call`: something happened to a call. `said`: its transcript has another line. `words`: the caller has heard some
    words of the bot's turn. `speaks`: somebody began to speak or fell silent. `measured`: how long the bot took to
    answer, or the longest silence of a stream. `listens`: a supervisor began to hear a call, or ceased to. `looks`:
    somebody looks at a call's page. `order`, `done`: for `bot.desk`. `beat`: how a process is. `switch`: a switch was
    turned. `forgotten`: what was said in a call was deleted. `missed`: there was news that did not come.
    `logged_out`: a session at the console is over."""

    sid: str = ""
    """Twilio's CallSid, where it is about a call."""

    data: dict[str, Any] = field(default_factory=dict[str, Any])
    call: Call | None = None
    """The call afterwards, where it happened in this process."""

    origin: str = ""
    """The process that it comes from."""
