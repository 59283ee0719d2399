"""Whoever wants to know what happens to calls: figures, and the news that other processes and the console get."""

from collections.abc import Iterable

from bot.call import Call
from bot.callback import Callback
from bot.events import Event
from bot.speaking import Speaker


class Observer:
    """Told of what happens in this process. What it does with it waits for nothing and raises nothing."""

    def began(self, call: Call) -> None:
        """A call came in."""

    def stepped(self, before: Call, after: Call, event: Event) -> None:
        """A step of a call was made here, and nowhere else."""

    def said(self, call: Call, role: str) -> None:
        """A line was added to the call's transcript."""

    def words(self, call: Call, text: str) -> None:
        """The caller has heard some words of what the bot is saying."""

    def speaks(self, call: Call, who: Speaker, on: bool) -> None:
        """Somebody began to speak, or fell silent."""

    def responded(self, call: Call, seconds: float) -> None:
        """The bot began to answer so long after the caller had fallen silent."""

    def silent(self, call: Call, seconds: float) -> None:
        """A media stream is over, in which nobody spoke for so long at most."""

    def booked(self, callback: Callback) -> None:
        """Somebody is to be called back."""

    def callback_stepped(self, before: Callback, after: Callback) -> None:
        """A step of a callback was made here, and nowhere else."""


class Observers(Observer):
    """Tells all of them."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        """Args: observers: whom to tell, in this order."""
        self._observers = tuple(observers)

    def began(self, call: Call) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.began(call)

    def stepped(self, before: Call, after: Call, event: Event) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.stepped(before, after, event)

    def said(self, call: Call, role: str) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.said(call, role)

    def words(self, call: Call, text: str) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.words(call, text)

    def speaks(self, call: Call, who: Speaker, on: bool) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.speaks(call, who, on)

    def responded(self, call: Call, seconds: float) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.responded(call, seconds)

    def silent(self, call: Call, seconds: float) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.silent(call, seconds)

    def booked(self, callback: Callback) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.booked(callback)

    def callback_stepped(self, before: Callback, after: Callback) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.callback_stepped(before, after)
