"""What a callback's own address says of its call, for a process that cannot ask the record. Pure.

Every document that we give to Twilio carries in its callback addresses how far the call had come. So whichever process
a callback reaches can go on with the call, also when the database is away or behind: the address first, then the
record, then the operator's default.
"""

import base64
import json
from dataclasses import dataclass, replace
from typing import Self

from bot.call import Attempt, By, Call, Direction, Handoff, Outcome, Phase, close_attempt
from bot.tokens import Seal


@dataclass(frozen=True, slots=True)
class Carried:
    """How far a call had come when a document was given."""

    caller: str
    called: str
    started_at: int
    phase: Phase
    leg: int
    rescues: int
    hops: int
    """How many hand-offs were agreed."""

    attempts: int
    tried: int
    nobody: int
    target: str | None
    """Of the last hand-off."""

    number: str
    """Of the last attempt."""

    attended: bool
    """Whether that is somebody who is called while the bot has the caller."""

    direction: Direction = Direction.INBOUND

    @classmethod
    def of(cls, call: Call) -> Self:
        """What to carry of a call."""
        return cls(
            call.caller[:40],
            call.called[:40],
            int(call.started_at),
            call.phase,
            call.leg,
            call.rescues,
            len(call.handoffs),
            len(call.attempts),
            call.tried,
            call.nobody,
            call.handoffs[-1].target if call.handoffs else None,
            call.attempts[-1].number if call.attempts else "",
            bool(call.attempts) and call.attempts[-1].attended,
            call.direction,
        )

    def seal(self, sid: str, seal: Seal) -> str:
        """As a part of an address of this call."""
        facts = [getattr(self, name) for name in self.__slots__]
        text = base64.urlsafe_b64encode(json.dumps(facts, separators=(",", ":")).encode()).decode().rstrip("=")
        return f"{text}.{seal.of(f'{sid} {text}')}"

    @classmethod
    def read(cls, sealed: str, sid: str, seal: Seal) -> "Carried | None":
        """What an address of this call carries; None where it is not ours, or another call's."""
        text, _, mac = sealed.rpartition(".")
        if not text or not seal.fits(mac, f"{sid} {text}"):
            return None
        try:
            *told, direction = json.loads(base64.urlsafe_b64decode(text + "==="))
            facts = dict(zip(tuple(cls.__slots__)[:-1], told, strict=True))
            return cls(**{**facts, "phase": Phase(facts["phase"])}, direction=Direction(direction))
        except (ValueError, TypeError):
            return None  # of another version of ours: the seal is ours alone to make

    def is_ahead_of(self, call: Call) -> bool:
        """Whether the call has come further than is known here."""
        return (self.leg, self.hops, self.attempts) > (call.leg, len(call.handoffs), len(call.attempts))

    def new_call(self, sid: str) -> Call:
        """A call of which nothing else is known."""
        return self.advance(Call(sid, self.caller, self.called, self.started_at, direction=self.direction))

    def advance(self, call: Call) -> Call:
        """The call as far as the address says that it has come. One that has ended does not begin anew by that."""
        at, ended = call.started_at, call.phase is Phase.ENDED
        call = close_attempt(call, at, Outcome.SUPERSEDED)
        handoffs = [Handoff(self.target, "", "", By.MODEL, at)] * (self.hops - len(call.handoffs))
        missing = self.attempts - len(call.attempts)
        over = [Attempt(self.target or "", self.number, at, ended_at=at, outcome=Outcome.SUPERSEDED)] * (missing - 1)
        latest = Attempt(self.target or "", self.number, at, handoff=self.hops, attended=self.attended)
        if ended:
            latest = replace(latest, ended_at=call.ended_at, outcome=Outcome.CALLER_GONE)
        last = [latest] if missing > 0 else []
        return replace(
            call,
            phase=call.phase if ended else self.phase,
            leg=self.leg,
            stream_open=False,
            rescues=max(self.rescues, call.rescues),
            handoffs=(*call.handoffs, *handoffs),
            attempts=(*call.attempts, *over, *last),
            tried=self.tried,
            nobody=max(self.nobody, call.nobody),
        )
