"""Who is tried next. Pure: the hand-off policy as facts, and the questions the law asks of it.

The operator's `handoff.yaml` becomes one `Policy`, checked when it is read. The model names a *destination key*; only
this file turns a key into somebody to ring, and it can only return whom the operator wrote down.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from zlib import crc32

from bot.callback_rules import CallbackRules
from bot.modes import Mode
from bot.opening import Opening
from bot.queue_rules import Queue
from bot.recorded import UNRECORDED, RecordingRules
from bot.voicemail import Voicemail

OURS = "ours"
"""A caller id that means the number that was called."""

UNKNOWN_RING_SECONDS = 30
"""How long somebody is rung of whom this process knows only the address. Seconds."""

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")


class Order(StrEnum):
    """In which order the people of a target are tried."""

    IN_TURN = "in_turn"
    """One after the other, as they are written down."""

    ALL = "all"
    """All at once, ten at most; who takes the call first has it."""

    ROUND_ROBIN = "round_robin"
    """One after the other; each call begins with another one. Which one, its CallSid says, so that all get their share
    without anybody keeping count."""


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
class Endpoint:
    """One telephone that can be rung."""

    address: str
    """A number in E.164 form, e.g. `+12025550143`, `sip:robin@example.com`, or `client:robin` (Twilio: Voice SDK)."""

    ring_seconds: int
    """How long it rings before the next one is tried. Seconds."""

    digits: str = ""
    """Keys that are pressed when it is answered, e.g. an extension; `w` waits half a second."""

    languages: tuple[str, ...] = ()
    """What the person speaks, as the model is told to name it, e.g. `en`."""

    skills: tuple[str, ...] = ()

    @property
    def is_sip(self) -> bool:
        """Whether it is a SIP address."""
        return self.address.startswith(("sip:", "sips:"))

    @property
    def is_client(self) -> bool:
        """Whether it is a client of Twilio's Voice SDK."""
        return self.address.startswith("client:")


@dataclass(frozen=True, slots=True)
class Finder:
    """A system of the operator's that is asked where the people of a target are right now."""

    url: str
    allow: tuple[str, ...]
    """The addresses that may come of it; in each a `*` stands for any characters, e.g. `+1202*`."""

    def allows(self, address: str) -> bool:
        """Whether somebody may be rung there."""
        return any(fnmatchcase(address, each) for each in self.allow)


@dataclass(frozen=True, slots=True)
class Found:
    """Where the people of a target are, for one hand-off."""

    target: str
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A destination that the model may name: a person or a group behind one key."""

    key: str
    """What the model says, e.g. `billing`."""

    description: str
    """When to choose it. The model reads this."""

    endpoints: tuple[Endpoint, ...]
    """Who can be rung. Never empty."""

    mode: Mode = Mode.DIAL
    order: Order = Order.IN_TURN

    caller_id: str | None = None
    """The number shown to the person: one that the Twilio account owns, or `OURS`. None: the caller's own."""

    language: str = "en"
    """In which language the people of this target are spoken to, and summaries are written for them."""

    machine_detection: bool = False
    """Whether Twilio listens for a mailbox when somebody answers. That takes it some four seconds."""

    hours: Opening | None = None
    """When they are there; None for always."""

    closed_line: str = ""
    """What the caller is told when they are not."""

    next: str | None = None
    """The target that is tried when nobody of this one takes the call, or when it is closed."""

    sms: bool = False
    """Whether whoever is rung gets the address of their page as a text message."""

    offered: bool = True
    """Whether the model is told that there is this target."""

    finder: Finder | None = None
    """Who is asked at each hand-off where these people are. Without an answer, `endpoints` hold."""

    queue: Queue | None = None
    """Where callers wait, in mode `queue`: it is then the only one of `endpoints`."""

    @property
    def people(self) -> tuple[Endpoint, ...]:
        """The telephones of its people."""
        return self.endpoints if self.queue is None else self.queue.people


@dataclass(frozen=True, slots=True)
class Stop:
    """Whom one attempt rings."""

    target: Target
    endpoints: tuple[Endpoint, ...]

    @property
    def addresses(self) -> str:
        """Their addresses, joined by a comma."""
        return ",".join(endpoint.address for endpoint in self.endpoints)

    @property
    def ring_seconds(self) -> int:
        """How long the slowest of them is given. Seconds."""
        return max(endpoint.ring_seconds for endpoint in self.endpoints)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words of the caller's that lead to a person without the model's doing."""

    words: str
    """In small letters, without punctuation; see `plain`."""

    target: str


@dataclass(frozen=True, slots=True)
class Triggers:
    """What leads to a person besides the model. Each names its target; None: it leads to nobody."""

    keys: dict[str, str] = field(default_factory=dict[str, str])
    """Target by key of the telephone."""

    phrases: tuple[Phrase, ...] = ()

    anger: str | None = None
    """The caller is angry, by the rules of `bot.triggers`."""

    unclear_turns: int = 0
    """So many turns of the caller's in a row that nobody understood; 0: any number."""

    unclear_target: str | None = None

    tool_errors: int = 0
    """So many tools that failed, one after the other; 0: any number."""

    tool_error_target: str | None = None

    silence_seconds: float = 0.0
    """Neither the caller nor the bot has said anything for so long; 0: for ever. Seconds."""

    silence_target: str | None = None


@dataclass(frozen=True, slots=True)
class Outbound:
    """Whom the bot may call, and how."""

    number: str
    """Our number, which they see. E.164."""

    allow: tuple[str, ...]
    """Numbers that may be called, E.164; one that ends with `*` stands for all that begin like it."""

    hours: Opening | None = None
    """When calls may be made; None for always."""

    ring_seconds: int = 30
    tries: int = 3
    """How often a number is called that is busy or does not answer."""

    retry_seconds: float = 900.0
    """How long after a call in vain the next one is made."""

    machine_detection: bool = False
    """Whether Twilio listens for a mailbox when somebody answers."""

    message: str = ""
    """What a mailbox is told."""

    def allows(self, number: str) -> bool:
        """Whether this number may be called. E.164."""
        return any(
            number == each if not each.endswith("*") else number.startswith(each.removesuffix("*"))
            for each in self.allow
        )


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

    back_key: bool = False
    """Whether a person who has the caller in a conference can send them back to the bot by pressing `*` twice."""

    short_seconds: int = 10
    """A conversation with a person that is shorter is flagged in the record. Seconds; 0 for none."""

    bot_tokens: int | None = None
    """How many tokens of the model one stream may use; then the failsafe target takes the call. None: any number."""

    triggers: Triggers = Triggers()

    outbound: Outbound | None = None
    """Whom the bot may call; None for nobody."""

    callback: CallbackRules | None = None
    """How callers are called back; None for never."""

    take_over: str | None = None
    """The target that is rung when a supervisor takes a call over. None: nobody can."""

    listen_in: bool = False
    """Whether supervisors may hear live calls."""

    recording: RecordingRules = UNRECORDED
    """What is recorded of a call."""

    listen_in_notice: str = ""
    """What callers are told of that before anything else; empty for nothing."""


def resolve(policy: Policy, key: str, found: Sequence[Found] = ()) -> Target:
    """The target behind a key; the default target for a key that the operator did not define.

    Args:
        policy: The operator's rules.
        key: The target's key.
        found: Where people are, as far as that was asked for.
    """
    target = policy.targets.get(key) or policy.targets[policy.default]
    people = next((each.endpoints for each in found if each.target == target.key), ())
    return replace(target, endpoints=people) if people else target


def finders(policy: Policy, key: str) -> dict[str, Finder]:
    """Who is to be asked before a hand-off to a target: by the keys of that target and those that come after it."""
    asked: dict[str, Finder] = {}
    seen: set[str] = set()
    following: str | None = resolve(policy, key).key
    while following is not None and following not in seen:
        seen.add(following)
        target = policy.targets[following]
        if target.finder is not None:
            asked[following] = target.finder
        following = target.next
    return asked


def route(
    policy: Policy,
    key: str,
    at: float,
    *,
    wants: Sequence[str] = (),
    turn: str = "",
    at_any_hour: bool = False,
    found: Sequence[Found] = (),
) -> tuple[Stop, ...]:
    """Whom a hand-off tries, attempt by attempt: the target's people, then those of the next targets.

    Args:
        policy: The operator's rules.
        key: The target's key.
        at: When the hand-off was asked for. Unix seconds.
        wants: Languages and skills that the person should have. Who has most of them is tried first.
        turn: What decides who begins where people take turns.
        at_any_hour: Whether closed targets are tried too.
        found: Where people are, as far as that was asked for.

    Returns:
        Nobody, where all of them are closed.
    """
    stops: list[Stop] = []
    seen: set[str] = set()
    following: str | None = resolve(policy, key).key
    while following is not None and following not in seen:
        seen.add(following)
        target = resolve(policy, following, found)
        if at_any_hour or is_open(target, at):
            stops += _stops(target, wants, turn)
        following = target.next
    return tuple(stops)


def is_open(target: Target, at: float) -> bool:
    """Whether the people of a target are there. `at`: Unix seconds."""
    return target.hours is None or target.hours.open_at(at)


def _stops(target: Target, wants: Sequence[str], turn: str) -> list[Stop]:
    people = list(target.endpoints)
    if target.order is Order.ROUND_ROBIN:
        first = crc32(turn.encode()) % len(people)
        people = people[first:] + people[:first]
    people.sort(key=lambda person: -len({*person.languages, *person.skills} & set(wants)))
    if target.order is Order.ALL:
        return [Stop(target, tuple(people))]
    return [Stop(target, (person,)) for person in people]


def failsafe_seconds(policy: Policy) -> int:
    """How long the document that Twilio already holds rings the failsafe target, all its people at once. Seconds."""
    return max(endpoint.ring_seconds for endpoint in policy.targets[policy.failsafe].endpoints)


def after_nobody(policy: Policy, times: int) -> Fallback:
    """What the caller gets when nobody took the call for the `times`-th time in this call (from 1)."""
    return policy.nobody[min(times, len(policy.nobody)) - 1]


def shown_number(target: Target, caller: str, called: str) -> str | None:
    """The caller id of a person's phone; None leaves it to Twilio, which shows the caller's own.

    A caller whose number is none (it is withheld, say) would have the call rejected: then ours is shown.
    """
    if target.caller_id is not None and target.caller_id != OURS:
        return target.caller_id
    if target.caller_id == OURS or not _E164.fullmatch(caller):
        return called if _E164.fullmatch(called) else None
    return None


def allowed_numbers(policy: Policy) -> frozenset[str]:
    """Every address that may ever be dialled for a caller."""
    targets = policy.targets.values()
    return frozenset(each.address for target in targets for each in (*target.endpoints, *target.people))
