"""How callers are called back, as the operator has written it down. Pure."""

from dataclasses import dataclass

from bot.opening import Calendar

AGAIN_SECONDS = 3600.0
"""How soon a callback is looked at again where nobody says when somebody is there."""

SOON_SECONDS = 300.0
"""What comes within this time comes soon."""


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """When and how often callers are called back who have asked for it."""

    hours: Calendar | None = None
    """When they may be called; None for always."""

    tries: int = 3
    """How often it is tried. One try asks each person of the target, one after the other."""

    retry_seconds: float = 900.0
    """How long after one try the next one begins."""

    ring_seconds: int = 30
    """How long the caller's telephone rings. Seconds."""

    expire_seconds: float = 7 * 86_400.0
    """How long after it was to be made at the earliest a callback is given up."""

    target: str | None = None
    """Whose people call back; None: those of the target that the bot names."""

    allow: tuple[str, ...] = ()
    """Numbers that may be called although nobody calls from them or has typed them, E.164; one that ends with `*`
    stands for all that begin like it."""

    def allows(self, number: str) -> bool:
        """Whether the list has this number. E.164."""
        return any(
            number == each if not each.endswith("*") else number.startswith(each.removesuffix("*"))
            for each in self.allow
        )

    def meant(self, at: float, day: str, clock: str) -> float:
        """The time that a caller means; at once for none. Unix seconds."""
        then = self.hours.on_clock(at, day, clock) if self.hours is not None and (day or clock) else None
        return at if then is None else then

    def in_words(self, at: float, then: float) -> str:
        """When a callback is due, as the bot says it."""
        if then <= at + SOON_SECONDS or self.hours is None:
            return "as soon as somebody is free"
        return self.hours.in_words(at, then)

    def next_time(self, at: float) -> float:
        """This time, or the next one at which callers may be called. Unix seconds."""
        if self.hours is None:
            return at
        opens = self.hours.opens_at(at)
        return at + AGAIN_SECONDS if opens is None else opens
