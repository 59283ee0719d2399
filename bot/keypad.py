"""Numbers that the caller types: a star, the number, a hash. While one is typed, its keys lead to nobody."""

import phonenumbers

from bot.call import Call
from bot.callback_rules import CallbackRules
from bot.events import Event, KeyPressed, NumberTyped
from bot.numbers import dialable

BEGINS, ENDS = "*", "#"

PAUSE_SECONDS = 15.0
"""How long after a key the next one belongs to the same number."""

MOST_KEYS = 20


class Keypad:
    """The keys of one stream of a call."""

    def __init__(self, call: Call, rules: CallbackRules) -> None:
        """Args: call: whose keys they are. rules: which numbers may be called although they are of another country."""
        self._call = call
        self._rules = rules
        self._keys: str | None = None
        self._at = 0.0

    def press(self, key: str, at: float) -> Event | None:
        """A key is pressed. Returns what that means; None in the middle of a number.

        Args:
            key: One of the twelve.
            at: Unix seconds.
        """
        if self._keys is not None and at - self._at > PAUSE_SECONDS:
            self._keys = None
        self._at = at
        if key == BEGINS:
            self._keys = ""
            return None
        if self._keys is None:
            return KeyPressed(at=at, digit=key)
        if key != ENDS:
            self._keys = (self._keys + key)[:MOST_KEYS]
            return None
        typed, self._keys = self._keys, None
        return NumberTyped(at=at, number=number_of(typed, self._call, self._rules))


def number_of(typed: str, call: Call, rules: CallbackRules) -> str:
    """What was typed as a number in E.164 form; empty for one that nobody may be called back at.

    It counts from our own country, and is one of it or of the caller's: somebody who types a number far away may want
    it to be called at our cost. The operator's list may have others.
    """
    ours, theirs = _parsed(call.called), _parsed(call.caller)
    region = phonenumbers.region_code_for_number(ours) if ours is not None else None
    parsed = _parsed(typed, region)
    if parsed is None:
        return ""
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    near = {each.country_code for each in (ours, theirs) if each is not None}
    try:
        return dialable(number) if parsed.country_code in near or rules.allows(number) else ""
    except ValueError:
        return ""


def _parsed(number: str, region: str | None = None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
