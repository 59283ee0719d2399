"""`handoff.yaml` → `routing.Policy`: read, checked, every mistake with its line and its remedy."""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from bot.callback_entry import CallbackEntry
from bot.hours_entry import HoursEntry
from bot.number_entry import (
    NumberEntries,
    NumberEntry,
    RingSeconds,
    TargetKey,
    as_text,
    checked_number,
)
from bot.numbers import digits
from bot.outbound_entry import OutboundEntry
from bot.queue_entry import QueueEntry, spoken
from bot.queue_rules import Leave
from bot.recording_entry import RecordingEntry
from bot.routing import (
    OURS,
    BargeIn,
    Endpoint,
    Fallback,
    Finder,
    Mode,
    Order,
    Policy,
    Target,
)
from bot.triggers_entry import TargetReference, TriggersEntry
from bot.voicemail_entry import VoicemailEntry
from pipelines.problems import refusal
from pipelines.section import Section, Text
from pipelines.yaml_file import read_yaml


def _caller_id(written: Any, info: ValidationInfo) -> Any:
    if written in ("caller", OURS):
        return written
    return checked_number(as_text(written), info)


def _some(numbers: tuple[NumberEntry, ...]) -> tuple[NumberEntry, ...]:
    # Pydantic's own `min_length` would count a wrong number as one that is not there.
    if not numbers:
        remedy = "write at least one telephone number, on a line with `- ` before it"
        raise refusal("is empty", remedy)
    return numbers


def _address_pattern(written: Any) -> str:
    if not isinstance(written, str):
        raise refusal(f"holds {written} without quotes", 'write it in quotes: "+12025550143"')
    pattern = digits(written) if written.startswith("+") else written
    if not re.fullmatch(r"\+[1-9][0-9]{2,14}\*?|sips?:[^\s?\[\],]+@[^\s*?\[\],]+|client:[A-Za-z0-9_.@+*-]+", pattern):
        remedy = 'write numbers, how they begin, or SIP addresses at a host: "+1202555*", "sip:*@pbx.example.com"'
        raise refusal(f"holds `{written}`, which does not say who may be rung", remedy)
    return pattern


def _asked_url(written: str) -> str:
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise refusal(
            f"is `{written}`, which is no address", "write one with https://, e.g. `https://crm.example.com/who`"
        )
    return written


class ResolveEntry(Section):
    """A system of the operator's own that is asked who is there, at each hand-off."""

    url: Annotated[str, AfterValidator(_asked_url)]
    """Where it is asked, e.g. `https://crm.example.com/who-is-there`."""

    allow: Annotated[tuple[Annotated[str, BeforeValidator(_address_pattern)], ...], Field(min_length=1)]
    """Whom it may name: numbers, how they begin, SIP addresses at a host: `["+1202555*", "sip:*@pbx.example.com"]`."""

    def finder(self) -> Finder:
        """It as the law knows it."""
        return Finder(self.url, self.allow)


class TargetEntry(Section):
    """A destination that the model may name."""

    description: Annotated[Text, Field(max_length=500)]
    """When to choose this target, in a sentence that the model reads."""

    numbers: Annotated[NumberEntries, AfterValidator(_some)] = ()
    """At least one telephone number, each on a line with `- ` before it. A queue may have none."""

    ring_seconds: RingSeconds = 20
    """How long each number rings that says nothing else. Seconds."""

    mode: Mode = Mode.DIAL
    """Whether a person who answers has the caller at once, hears first who it is, or is called while the bot stays."""

    order: Order = Order.IN_TURN
    """Whether the numbers are tried one after the other, all at once, or taking turns."""

    caller_id: Annotated[str, BeforeValidator(_caller_id)] = "caller"
    """The number shown to the person: `caller`, `ours`, or one that the Twilio account owns."""

    language: Annotated[str, AfterValidator(spoken)] = "en"
    """In which language these people are spoken to."""

    machine_detection: bool = False
    """Whether Twilio listens for a mailbox when somebody answers."""

    hours: HoursEntry | None = None
    """When these people are there; without it, always."""

    closed_line: Annotated[str, Field(max_length=300)] = ""
    """What the caller is told when they are not."""

    next: TargetReference | None = None
    """The target that is tried when nobody of this one takes the call, or when it is closed."""

    sms: bool = False
    """Whether whoever is rung gets the address of their page as a text message: who calls, why, what is being said."""

    offered: bool = True
    """Whether the model is told that there is this target."""

    resolve: ResolveEntry | None = None
    """Who is asked at each hand-off where these people are; without an answer, `numbers` hold."""

    queue: QueueEntry | None = None
    """With `mode: queue`: where callers wait. `numbers` are then those of the people who take them."""

    @model_validator(mode="after")
    def _has_people(self) -> "TargetEntry":
        if (self.mode is Mode.QUEUE) != (self.queue is not None):
            what = "has a `queue` and another mode" if self.queue else "has no `queue`, which its mode needs"
            raise refusal(what, "write both: `mode: queue` and `queue: {name: support}`")
        if self.queue is None and not self.numbers:
            raise refusal("has no numbers", "write `numbers:`, and at least one telephone number under it")
        if self.queue is not None and self.queue.workflow and self.numbers:
            raise refusal("has `numbers` and a workflow, whose people TaskRouter knows", "leave `numbers` out")
        for name in ("resolve", "machine_detection") if self.queue is not None else ():
            if getattr(self, name):
                raise refusal(f"has a queue and `{name}`, which is for telephones that are rung", f"leave `{name}` out")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> "TargetEntry":
        if self.sms and not any(entry.number for entry in self.numbers):
            raise refusal("sends text messages and has no telephone number", "leave `sms` out")
        if self.order is Order.ALL and len(self.numbers) > 10:
            raise refusal(f"rings {len(self.numbers)} numbers at once", "ring ten at most (Twilio: TwiML `<Dial>`)")
        if self.closed_line and self.hours is None:
            raise refusal("has a `closed_line` and is never closed", "add `hours`, or leave `closed_line` out")
        if self.machine_detection and self.mode is Mode.DIAL:
            remedy = "use `mode: screened`, `attended`, `consult` or `introduce`, which let nobody in without a key"
            raise refusal("looks for machines and connects whoever answers", remedy)
        return self

    def target(self, key: str) -> Target:
        """The target as the law knows it."""
        people = tuple(entry.endpoint(self.ring_seconds) for entry in self.numbers)
        queue = self.queue.queue(people) if self.queue else None
        return Target(
            key,
            self.description,
            people if queue is None else (Endpoint(queue.address, queue.max_wait),),
            self.mode,
            self.order,
            None if self.caller_id == "caller" else self.caller_id,
            self.language,
            self.machine_detection,
            self.hours.hours() if self.hours else None,
            self.closed_line,
            self.next,
            self.sms,
            self.offered,
            self.resolve.finder() if self.resolve else None,
            queue,
        )


class GoodbyeEntry(Section):
    """What the caller hears before being put through."""

    line: Annotated[Text, Field(max_length=300)] = "One moment please, I am putting you through."
    """What the bot is asked to say when it handed over without a word."""

    seconds: float = Field(default=15.0, ge=1, le=60)
    """How long the goodbye may take before the caller is put through all the same. Seconds."""

    barge_in: BargeIn = BargeIn.FINISH
    """Whether a caller who speaks stops the goodbye."""


class LimitsEntry(Section):
    """How much of a call the bot may have; then the failsafe target takes it."""

    bot_seconds: int = Field(default=3600, ge=60, le=86_400)
    """How long after its beginning a call may be with the bot. Seconds."""

    bot_tokens: int | None = Field(default=None, ge=1000)
    """How many tokens of the model one stream of a call may use."""


class ListenInEntry(Section):
    """Whether supervisors may hear live calls at the console."""

    allowed: bool = False
    notice: Annotated[Text, Field(max_length=300)] | None = None
    """What callers are told of it before anything else, e.g. `This call may be listened to by a colleague.`"""

    @model_validator(mode="after")
    def _means_something(self) -> "ListenInEntry":
        if self.notice and not self.allowed:
            raise refusal("has a `notice` and is not allowed", "add `allowed: true`, or leave `notice` out")
        return self


class Failsafe(StrEnum):
    """What Twilio holds behind our stream."""

    PERSON = "person"
    RESCUE = "rescue"


def _failsafe(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str) and value in (info.context or {}).get("targets", ()):
        remedy = f"write `failsafe_target: {value}`, and `failsafe: person` or `failsafe: rescue`, or nothing"
        raise refusal(f"is `{value}`, a target", remedy)
    return value


class PolicyFile(Section):
    """The keys of `handoff.yaml`."""

    targets: Annotated[dict[TargetKey, TargetEntry], Field(min_length=1)]
    """At least one target, with a description and numbers."""

    default: TargetReference
    """The target of a hand-off whose own is not known, e.g. `default: front_desk`."""

    failsafe: Annotated[Failsafe | None, BeforeValidator(_failsafe)] = None
    """What Twilio holds behind our stream: `person` rings `failsafe_target` without any server, `rescue` asks whichever
    of our processes answers. Unless it is said: `rescue` with PostgreSQL, else `person`."""

    failsafe_target: TargetReference | None = None
    """The target that takes over when nothing of ours answers; unless it is said, the default one."""

    nobody: tuple[Fallback, ...] = (Fallback.BOT, Fallback.VOICEMAIL)
    """What comes when nobody took the call, e.g. `[bot, voicemail]`."""

    voicemail: VoicemailEntry = VoicemailEntry()
    goodbye: GoodbyeEntry = GoodbyeEntry()

    max_hops: int = Field(default=6, ge=1, le=20)
    """The most hand-offs in one call."""

    dial_seconds: int = Field(default=14_400, ge=60, le=86_400)
    """The longest conversation with a person. Seconds (Twilio: `<Dial>`, `timeLimit`)."""

    back_key: Literal["**", ""] = "**"
    """What a person in a conference presses to send the caller back to the bot; empty for nothing."""

    short_seconds: int = Field(default=10, ge=0, le=600)
    """A conversation with a person that is shorter is flagged in the record. Seconds; 0 for none."""

    limits: LimitsEntry = LimitsEntry()
    triggers: TriggersEntry = TriggersEntry()
    """What leads to a person besides the model."""

    outbound: OutboundEntry | None = None
    """Whom the bot may call; without it, nobody."""

    callback: CallbackEntry | None = None
    """How callers are called back; without it, they are not."""

    take_over: TargetReference | None = None
    """The target that is rung when a supervisor takes a call over at the console."""

    listen_in: ListenInEntry = ListenInEntry()
    recording: RecordingEntry = RecordingEntry()

    allow: tuple[Annotated[str, BeforeValidator(as_text)], ...] = ()
    """Numbers that are meant although they look wrong or cost extra."""

    @field_validator("default")
    @classmethod
    def _is_offered(cls, key: str, info: ValidationInfo) -> str:
        entry = info.data.get("targets", {}).get(key)
        if entry is not None and not entry.offered:
            remedy = f"leave `offered: false` out of `{key}`, or choose another default"
            raise refusal(f"is `{key}`, which is not offered to the model", remedy)
        return key

    @model_validator(mode="after")
    def _leaves_the_star(self) -> "PolicyFile":
        if self.callback is not None and {"*", "#"} & set(self.triggers.triggers(self.default).keys):
            remedy = "use another key: callers type a star, their number and a hash to be called back there"
            raise refusal("has a trigger on `*` or `#` and a `callback`", remedy)
        return self

    @model_validator(mode="after")
    def _queues_fit_in(self) -> "PolicyFile":
        queues = {key: entry.queue for key, entry in self.targets.items() if entry.queue is not None}
        for name, key in (("failsafe_target", self.failsafe_target or self.default), ("take_over", self.take_over)):
            if key in queues:
                remedy = f"write `{name}:` and a target whose telephones can be rung"
                raise refusal(f"has `{key}` as its `{name}`, which is a queue", remedy)
        if self.callback is None and any(queue.leave is Leave.CALLBACK for queue in queues.values()):
            raise refusal("has a queue with `leave: callback` and no `callback`", "add the part `callback:`")
        return self

    @field_validator("nobody")
    @classmethod
    def _ends_with_voicemail(cls, steps: tuple[Fallback, ...]) -> tuple[Fallback, ...]:
        if not steps or steps[-1] is not Fallback.VOICEMAIL:
            remedy = f"end it with voicemail: [{', '.join([*steps, 'voicemail'])}]"
            raise refusal("does not end with voicemail, so a call could go round for ever", remedy)
        return steps

    def policy(self, *, rescue: bool) -> Policy:
        """The policy as the law knows it; `rescue` where the file does not say what the failsafe is."""
        return Policy(
            targets={key: entry.target(key) for key, entry in self.targets.items()},
            default=self.default,
            failsafe=self.failsafe_target or self.default,
            voicemail=self.voicemail.voicemail(),
            goodbye_line=self.goodbye.line,
            nobody=self.nobody,
            goodbye_seconds=self.goodbye.seconds,
            goodbye_barge_in=self.goodbye.barge_in,
            max_hops=self.max_hops,
            dial_seconds=self.dial_seconds,
            rescue=self.failsafe is Failsafe.RESCUE if self.failsafe else rescue,
            bot_seconds=self.limits.bot_seconds,
            bot_tokens=self.limits.bot_tokens,
            back_key=bool(self.back_key),
            short_seconds=self.short_seconds,
            triggers=self.triggers.triggers(self.default),
            outbound=self.outbound.outbound() if self.outbound else None,
            callback=self.callback.rules() if self.callback else None,
            take_over=self.take_over,
            listen_in=self.listen_in.allowed,
            recording=self.recording.rules(),
            listen_in_notice=self.listen_in.notice or "",
        )


def load_policy(path: Path, environ: Mapping[str, str] | None = None, *, rescue: bool = False) -> Policy:
    """Read the operator's rules for a hand-off.

    Args:
        path: The file, e.g. `handoff.yaml`.
        environ: What `${NAME}` in the file stands for; by default the process's environment.
        rescue: Whether Twilio shall ask us what to do when a stream is gone, where the file does not say.

    Raises:
        ConfigurationError: Everything that is wrong with the file, with lines and remedies.
    """
    file = read_yaml(path, os.environ if environ is None else environ, named_by="HANDOFF_POLICY")
    allowed = frozenset(digits(str(number)) for number in file.items("allow"))
    context = {"targets": file.keys("targets"), "allow": allowed}
    return file.parse(PolicyFile, context=context).policy(rescue=rescue)
