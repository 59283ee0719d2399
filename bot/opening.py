"""When somebody is there: what the law asks of opening hours. Pure."""

from typing import Protocol


class Opening(Protocol):
    """When somebody is there. Times are Unix seconds and come from events: nothing here reads a clock."""

    def open_at(self, at: float) -> bool:
        """Whether somebody is there at this time."""
        ...

    def next_opening(self, at: float) -> str | None:
        """When somebody is there again, in words, e.g. `Monday at 09:00`; None where that is more than a week away."""
        ...

    def opens_at(self, at: float) -> float | None:
        """This time where somebody is there, else when somebody is next; None where that is more than a week away."""
        ...


class Calendar(Opening, Protocol):
    """The same on the clock of a place, of which people speak."""

    def on_clock(self, at: float, day: str, clock: str) -> float | None:
        """The time that somebody means; None for what is no time to come.

        Args:
            at: When they say it.
            day: `today`, `tomorrow`, or a day of the week: `mon` to `sun`.
            clock: e.g. `15:30`.
        """
        ...

    def in_words(self, at: float, then: float) -> str:
        """How somebody says it at one time that something is to be at another one, e.g. `tomorrow at 09:00`."""
        ...
