"""How people are called while the bot has the caller. It is the `bot.orders.Calling` of every call."""

from collections.abc import Callable
from dataclasses import dataclass

from bot import briefing, twiml
from bot.addresses import Addresses
from bot.call import Call, found_for
from bot.queue_rules import is_queue
from bot.routing import OURS, UNKNOWN_RING_SECONDS, Endpoint, Policy, Target, resolve
from bot.sip import sip_uri
from bot.telephony import NewCall, NewText
from bot.tokens import PersonPages


@dataclass(frozen=True, slots=True)
class People:
    """Turns an attended attempt into the order for its call."""

    policy: Policy
    addresses: Callable[[Call], Addresses]
    """Our own addresses, for one document of a call."""

    pages: PersonPages
    clock: Callable[[], float]
    """Unix seconds."""

    def order(self, call: Call, attempt: int) -> NewCall:
        """See `Calling`. A call of our own shows a number of our own: the caller's may not be shown."""
        target, person = self._whom(call, attempt)
        at = self.addresses(call)
        shown = call.called if target.caller_id in (None, OURS) else target.caller_id
        return NewCall(
            to=sip_uri(person, call) if person.is_sip else person.address,
            from_=shown or call.called,
            url=at.person("answer", attempt, call.sid),
            status_callback=at.person("progress", attempt, call.sid),
            ring_seconds=person.ring_seconds,
            digits=person.digits,
            machine_detection=target.machine_detection and not person.is_client,
        )

    def texts(self, call: Call, attempt: int) -> list[NewText]:
        """See `Calling`. A SIP telephone or a client has no number to which a message could go."""
        tried = call.attempts[attempt - 1]
        target = resolve(self.policy, tried.target)
        sender = call.called if target.caller_id in (None, OURS) else target.caller_id
        body = briefing.text_message(call, target, self.page(call, attempt))
        whose = (tried.answered_by or "") if is_queue(tried.number) else tried.number
        return [NewText(each, sender or call.called, body) for each in whose.split(",") if each.startswith("+")]

    def bring(self, call: Call, attempt: int) -> str:
        """See `Calling`."""
        target, _ = self._whom(call, attempt)
        return twiml.await_caller(attempt, call, self.policy, target.language, self.addresses(call))

    def introduction(self, call: Call, attempt: int) -> str:
        """See `Calling`."""
        return self.addresses(call).person("introduction", attempt, call.sid)

    def page(self, call: Call, attempt: int) -> str:
        """See `Calling`."""
        token = self.pages.make(call.sid, attempt, self.clock())
        return f"{self.addresses(call).public_url}/handoff/{token}"

    def release(self, call: Call, attempt: int) -> str:
        """See `Calling`."""
        target, _ = self._whom(call, attempt)
        return twiml.caller_is_gone(target.language)

    def _whom(self, call: Call, attempt: int) -> tuple[Target, Endpoint]:
        tried = call.attempts[attempt - 1]
        target = resolve(self.policy, tried.target, found_for(call, tried))
        known = (person for person in target.endpoints if person.address == tried.number)
        return target, next(known, Endpoint(tried.number, UNKNOWN_RING_SECONDS))
