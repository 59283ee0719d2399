"""How Twilio asks, by what stands behind the `#` of a webhook's address (Twilio: Webhooks, connection overrides)."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

_RANGES = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)}
_POLICIES = ("4xx", "5xx", "ct", "rt", "all")


class BadOverrides(ValueError):
    """What stands there is not what Twilio takes (error 11243)."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Of one webhook. Seconds."""

    connect: float = 5.0
    """How long the connection may take."""

    read: float = 15.0
    """How long the answer may stand still."""

    total: float = 15.0
    """How long everything may take, with all retries."""

    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})
    """After which failures it is tried again: no connection (`ct`), no answer in time (`rt`), `4xx`, `5xx`, `all`."""

    @classmethod
    def read_from(cls, fragment: str) -> "Overrides":
        """Read what stands behind the `#`.

        Raises:
            BadOverrides: A value is out of its range, or there is no such policy.
        """
        told = dict(parse_qsl(fragment))
        values = {name: _number(name, told[name]) for name in _RANGES if name in told}
        policy = frozenset(told.get("rp", "ct").split(","))
        if unknown := policy.difference(_POLICIES):
            raise BadOverrides(f"there is no retry policy {', '.join(sorted(unknown))}")
        return cls(
            connect=values.get("ct", 5000) / 1000,
            read=values.get("rt", 15_000) / 1000,
            total=values.get("tt", 15_000) / 1000,
            retries=values.get("rc", 1),
            policy=policy,
        )

    def tries_again_after(self, failure: str) -> bool:
        """Whether a failure of this kind (`ct`, `rt`, `4xx`, `5xx`) is followed by another try."""
        return failure in self.policy or "all" in self.policy


def _number(name: str, value: str) -> int:
    least, most = _RANGES[name]
    if not value.isdecimal() or not least <= int(value) <= most:
        raise BadOverrides(f"{name}={value} is not between {least} and {most}")
    return int(value)
