"""Who speaks when on one media stream, how long the bot takes to answer, and for how long nobody speaks. Pure."""

from dataclasses import dataclass
from typing import Any, Literal

Speaker = Literal["caller", "bot", "person"]


@dataclass(frozen=True, slots=True)
class Spoke:
    """One stretch of speech."""

    who: Speaker
    since: float
    until: float
    """Both in Unix seconds."""

    response: float | None
    """For the bot: how long after the caller had fallen silent it began. Seconds; None where it did not answer."""

    def facts(self) -> dict[str, Any]:
        """What the journal keeps of it."""
        answer = {} if self.response is None else {"response_ms": round(self.response * 1000)}
        return {"who": self.who, "since": round(self.since, 3), **answer}


class Speaking:
    """Follows one media stream."""

    def __init__(self, at: float) -> None:
        """Args: at: when the stream began. Unix seconds."""
        self._since: dict[Speaker, float] = {}
        self._responses: dict[Speaker, float | None] = {}
        self._asked_at: float | None = None
        """When the caller fell silent, until the bot answers."""

        self._quiet_since: float | None = at
        self.longest_silence = 0.0
        """The longest time in which nobody spoke, so far. Seconds."""

    def begins(self, who: Speaker, at: float) -> float | None:
        """Somebody begins to speak. Returns, for the bot, how long the caller waited for it. Seconds."""
        if who in self._since:
            return None
        response = None
        if who == "caller":
            self._asked_at = None
        elif self._asked_at is not None:
            response, self._asked_at = max(at - self._asked_at, 0.0), None
        self._since[who], self._responses[who] = at, response
        self._end_silence(at)
        return response

    def ends(self, who: Speaker, at: float) -> Spoke | None:
        """Somebody falls silent. Returns what they spoke; None for somebody who did not speak."""
        since = self._since.pop(who, None)
        if since is None:
            return None
        if who == "caller":
            self._asked_at = at
        if not self._since:
            self._quiet_since = at
        return Spoke(who, since, max(at, since), self._responses.pop(who, None))

    def close(self, at: float) -> list[Spoke]:
        """The stream is over. Returns what was being spoken."""
        self._end_silence(at)
        spoken = [self.ends(who, at) for who in tuple(self._since)]
        return [spoke for spoke in spoken if spoke is not None]

    def _end_silence(self, at: float) -> None:
        if self._quiet_since is not None:
            self.longest_silence = max(self.longest_silence, at - self._quiet_since)
            self._quiet_since = None
