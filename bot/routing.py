"""Who is tried next. Pure: the hand-off policy as facts, and the questions the law asks of it.

The operator's `handoff.yaml` becomes one `Policy`, checked when it is read. The model names a *destination key*; only
this file turns a key into a telephone number, and it can only return numbers that the operator wrote down.
"""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """How a person is reached."""

    DIAL = "dial"
    """The person's phone rings; answering it connects the caller."""

    SCREENED = "screened"
    """The person first hears who is calling and why, and presses 1 to take the call."""


class Fallback(StrEnum):
    """What the caller gets when nobody of a target took the call."""

    BOT = "bot"
    """Back to the bot, which knows who was tried and why it failed."""

    VOICEMAIL = "voicemail"
    """A recorder."""


class BargeIn(StrEnum):
    """What happens when the caller speaks while the goodbye is being said."""

    FINISH = "finish"
    """The goodbye is said to its end and the hand-off goes on; the model does not hear the caller."""

    STAY = "stay"
    """The goodbye stops, the hand-off is withdrawn and the bot listens."""


@dataclass(frozen=True, slots=True)
class Number:
    """One telephone number of a target."""

    e164: str
    """The number in E.164 form, e.g. `+12025550143`."""

    ring_seconds: int
    """How long the phone rings before the next number is tried. Seconds."""


@dataclass(frozen=True, slots=True)
class Target:
    """A destination that the model may name: a person or a group behind one key."""

    key: str
    """What the model says, e.g. `billing`."""

    description: str
    """When to choose it. The model reads this."""

    numbers: tuple[Number, ...]
    """Tried one after the other, in this order. Never empty."""

    mode: Mode = Mode.DIAL

    caller_id: str | None = None
    """The number shown to the person, one that the Twilio account owns. None: the caller's own."""


@dataclass(frozen=True, slots=True)
class Voicemail:
    """The recorder at the end of the road."""

    greeting: str
    """Said before the tone."""

    max_seconds: int = 120
    """The longest message. Seconds."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's rules for a hand-off. Checked when it is read: every key it names exists."""

    targets: dict[str, Target]
    """By key, in the operator's order."""

    default: str
    """The target of a hand-off whose key is not known."""

    failsafe: str
    """The target that takes over when nothing of ours answers, and when the bot takes no more calls."""

    voicemail: Voicemail
    goodbye_line: str
    """What the bot is asked to say when the model handed off without a word."""

    rescue: bool = False
    """What Twilio holds behind our stream. True: it asks any of our processes, which can give the caller back to a bot.
    False: it rings the failsafe target by itself, and then takes a message, for which it needs no server."""

    nobody: tuple[Fallback, ...] = (Fallback.BOT, Fallback.VOICEMAIL)
    """What comes when nobody of the target took the call: the first time, the second time, …; the
    last one repeats. Ends with `VOICEMAIL`, so that a call cannot go round for ever."""

    goodbye_seconds: float = 15.0
    """The longest time the goodbye may take before the caller is put through all the same. Seconds."""

    goodbye_barge_in: BargeIn = BargeIn.FINISH

    max_hops: int = 6
    """The most hand-offs in one call; beyond it a request leads to the recorder."""

    dial_seconds: int = 14400
    """The longest conversation with a person. Seconds (Twilio: `<Dial timeLimit>`, at most 86,400)."""

    bot_seconds: int = 3600
    """How long after its beginning a call may be with the bot; then the failsafe target takes it. Seconds."""

    other_models: int = 0
    """How many pipelines can take over in mid-call when the model is gone (`fallback` in the pipeline's file)."""

    bot_tokens: int | None = None
    """How many tokens of the model one stream may use; then the failsafe target takes the call. None: any number."""


def resolve(policy: Policy, key: str) -> Target:
    """The target behind a key; the default target for a key that the operator did not define."""
    return policy.targets.get(key) or policy.targets[policy.default]


def number_at(policy: Policy, key: str, index: int) -> Number | None:
    """The number of a target to try after `index` others; None when all have been tried."""
    numbers = resolve(policy, key).numbers
    return numbers[index] if 0 <= index < len(numbers) else None


def failsafe_number(policy: Policy) -> Number:
    """The number in the document that Twilio already holds when everything of ours is gone."""
    return policy.targets[policy.failsafe].numbers[0]


def after_nobody(policy: Policy, times: int) -> Fallback:
    """What the caller gets when nobody took the call for the `times`-th time in this call (from 1)."""
    return policy.nobody[min(times, len(policy.nobody)) - 1]


def allowed_numbers(policy: Policy) -> frozenset[str]:
    """Every number that may ever be dialled for a caller."""
    return frozenset(n.e164 for target in policy.targets.values() for n in target.numbers)
