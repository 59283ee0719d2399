"""What leads to a person besides the model: keys, phrases, anger, turns that nobody understood, tools, silence. Pure.

Part of `bot/law.py`, whose rules bind here. These are rules, not guesses: the same call gives the same hand-off, also
when the model is of another opinion. Each notices a fact and may ask for a hand-off, which the law grants or not.
"""

import re
import unicodedata
from dataclasses import replace

from bot.call import By, Call
from bot.events import CallerSaid, HandoffRequested, KeyPressed, LineSilent, ToolEnded
from bot.routing import Policy

Noticed = tuple[Call, HandoffRequested | None]
"""The call as it is now, and the hand-off that follows, if one does."""

_ANGRY = frozenset(
    # English, German, French, Spanish, Italian, Dutch, Portuguese
    "ridiculous unacceptable outrageous useless disgusting scandal lawyer sue idiot idiots stupid damn bullshit shit "
    "unverschamt unverschaemt frechheit lacherlich unfassbar anwalt verarschen scheisse idiot schwachsinn "
    "inadmissible inacceptable scandaleux ridicule honteux avocat merde "
    "inaceptable ridiculo verguenza abogado mierda indignante "
    "inaccettabile ridicolo vergogna avvocato schifo "
    "belachelijk onacceptabel schandalig advocaat waardeloos "
    "inaceitavel ridiculo vergonha advogado".split()
)
"""One of these words is a sign of anger. In the form of `plain`."""

_ANGRY_PHRASES = (
    "fed up",
    "sick of this",
    "sick and tired",
    "how many times",
    "are you kidding",
    "waste of time",
    "worst service",
    "ich habe die nase voll",
    "das ist doch nicht ihr ernst",
    "j en ai marre",
    "estoy harto",
    "sono stufo",
    "ik ben het zat",
)
"""So is one of these."""


def plain(text: str) -> str:
    """The words alone: small letters, no accents, no punctuation, one space between them."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(" " if not letter.isalnum() else letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(kept.split())


def says(text: str, words: str) -> bool:
    """Whether these words stand in the text, whole and in this order. Both in the form of `plain`."""
    return bool(words) and f" {words} " in f" {text} "


def is_angry(text: str) -> bool:
    """Whether a turn of the caller's shows anger: strong words, or most of it in capitals, or repeated marks.

    Args:
        text: As it was transcribed.
    """
    words = plain(text)
    if set(words.split()) & _ANGRY or any(says(words, phrase) for phrase in _ANGRY_PHRASES):
        return True
    letters = [letter for letter in text if letter.isalpha()]
    shouted = len(letters) >= 12 and sum(letter.isupper() for letter in letters) > 0.8 * len(letters)
    return shouted or re.search(r"[!?]{3,}", text) is not None


def key_pressed(call: Call, event: KeyPressed, policy: Policy) -> Noticed:
    """The caller pressed a key: that needs no model."""
    target = policy.triggers.keys.get(event.digit)
    if target is None:
        return call, None
    return call, HandoffRequested(at=event.at, target=target, reason=f"pressed {event.digit}", by=By.KEY)


def caller_said(call: Call, event: CallerSaid, policy: Policy) -> Noticed:
    """The caller said a phrase that leads to a person, something in anger, or nothing that was understood."""
    rules, text = policy.triggers, plain(event.text)
    for phrase in rules.phrases:
        if says(text, phrase.words):
            reason = f'said "{phrase.words}"'
            return call, HandoffRequested(at=event.at, target=phrase.target, reason=reason, by=By.PHRASE)
    if rules.anger is not None and is_angry(event.text):
        return call, HandoffRequested(at=event.at, target=rules.anger, reason="the caller is angry", by=By.ANGER)
    unclear = 0 if text else call.unclear + 1
    call = call if unclear == call.unclear else replace(call, unclear=unclear)
    if rules.unclear_target is not None and 0 < rules.unclear_turns <= unclear:
        reason = f"the caller was not understood {unclear} times"
        return call, HandoffRequested(at=event.at, target=rules.unclear_target, reason=reason, by=By.UNCLEAR)
    return call, None


def tool_ended(call: Call, event: ToolEnded, policy: Policy) -> Noticed:
    """A tool was used. Some that fail one after the other lead to a person."""
    rules = policy.triggers
    errors = call.tool_errors + 1 if event.failed else 0
    call = call if errors == call.tool_errors else replace(call, tool_errors=errors)
    if rules.tool_error_target is not None and 0 < rules.tool_errors <= errors:
        reason = f"the tool {event.name} does not work"
        return call, HandoffRequested(at=event.at, target=rules.tool_error_target, reason=reason, by=By.TOOLS)
    return call, None


def line_silent(call: Call, event: LineSilent, policy: Policy) -> Noticed:
    """Nobody has said anything for as long as the policy allows."""
    target = policy.triggers.silence_target
    if target is None:
        return call, None
    return call, HandoffRequested(at=event.at, target=target, reason="nobody says anything", by=By.SILENCE)
