"""The law while the bot has the caller and people are called who may take it (modes `attended`, …). Pure.

Part of `bot/law.py`, whose rules bind here. The caller is moved only when somebody has taken the call. Who is rung is
rung for a caller: `settle` ends every attempt that nobody waits for any more, whatever it was that ended the waiting.
"""

from dataclasses import replace

from bot import briefing
from bot.asked import PersonStays
from bot.call import (
    Attempt,
    Call,
    Outcome,
    Phase,
    change_attempt,
    close_attempt,
    found_for,
    open_attempt,
    waiting_person,
)
from bot.consultation import CONSULT_SECONDS
from bot.effects import (
    BringPerson,
    CallPerson,
    Effect,
    Introduce,
    ListenAgain,
    ReleasePerson,
    SayGoodbye,
    StartTimer,
    Step,
    TellBot,
    Timer,
)
from bot.events import (
    Bridged,
    Event,
    Failure,
    PersonAccepted,
    PersonAnswered,
    PersonCalled,
    PersonDeclined,
    PersonLegEnded,
    PersonNotCalled,
    PersonRinging,
    TimerFired,
)
from bot.person_events import IntroductionEnded
from bot.routing import Mode, Policy, resolve
from bot.transfer import back_from, known, next_stop

KEY_SECONDS = 45.0
"""How much longer than its ring time a person's call may take: the words in their ear, the key, Twilio's own delays."""

UNKNOWN_CALL_SECONDS = 10.0
"""How long a call whose order got no clear answer may take to show that it is being made: Twilio tells of each call at
once. A phone that rings later than that is let go of by the callback that tells of it."""

_ENDED = {
    "busy": Outcome.BUSY,
    "no-answer": Outcome.NO_ANSWER,
    "canceled": Outcome.NO_ANSWER,
    "completed": Outcome.NO_ANSWER,
}
"""What it means that a person's leg ended without a key."""


def is_attended(call: Call, policy: Policy) -> bool:
    """Whether the hand-off that was just agreed begins with people who are called while the bot has the caller."""
    stop = next_stop(call, policy)
    return stop is not None and stop.target.mode.bot_stays


def seek(call: Call, event: Event, policy: Policy) -> Step:
    """Call whoever is next; the bot keeps the caller. When there is nobody left, the bot is told."""
    stop = next_stop(call, policy)
    if stop is None:
        call = replace(call, phase=Phase.BOT, nobody=call.nobody + 1)
        return call, (ListenAgain(briefing.nobody_came(call, policy)),)
    if not stop.target.mode.bot_stays:  # the next target's people take callers, not calls about them
        n = len(call.handoffs)
        return replace(call, phase=Phase.LEAVING), (
            SayGoodbye(n),
            StartTimer(Timer.GOODBYE, n, policy.goodbye_seconds),
        )
    first = len(call.attempts) + 1
    attempts = tuple(
        Attempt(stop.target.key, endpoint.address, event.at, handoff=len(call.handoffs), attended=True)
        for endpoint in stop.endpoints
    )
    call = replace(call, phase=Phase.SEEKING, attempts=(*call.attempts, *attempts), tried=call.tried + 1)
    effects: list[Effect] = []
    for n in range(first, first + len(attempts)):
        effects += [CallPerson(n), wait_for(call, n, policy)]
    return call, tuple(effects)


def wait_for(call: Call, n: int, policy: Policy) -> StartTimer:
    """How long the call to the person of an attempt may take."""
    attempt = call.attempts[n - 1]
    target = resolve(policy, attempt.target, found_for(call, attempt))
    consults = CONSULT_SECONDS if target.mode is Mode.CONSULT else 0.0
    rings = [person.ring_seconds for person in target.endpoints if person.address == attempt.number]
    return StartTimer(Timer.PERSON, n, max(rings, default=0) + KEY_SECONDS + consults)


def settle(call: Call, at: float) -> Step:
    """End the attempts that nobody waits for any more, and let go of everybody whose attempt is over."""
    waited_for = waiting_person(call) if call.phase in (Phase.LEAVING, Phase.REDIRECTING, Phase.PERSON) else 0
    released: list[Effect] = []
    for n, attempt in enumerate(call.attempts, 1):
        if not attempt.attended:
            continue
        if attempt.outcome is None and call.phase is not Phase.SEEKING and n != waited_for:
            call = close_attempt(call, at, Outcome.SUPERSEDED, n=n)
        attempt = call.attempts[n - 1]
        on_the_line = attempt.leg_sid is not None and not attempt.leg_over
        needless = attempt.outcome is not Outcome.ANSWERED or attempt.waits
        if on_the_line and attempt.outcome is not None and needless:
            call = change_attempt(call, n, leg_over=True, letting_go=True)
            released.append(ReleasePerson(n))
    return call, tuple(released)


def _of(call: Call, event: Event, n: int) -> Attempt | None:
    """The attended attempt that an event speaks of, whether it is under way or not; None for another kind."""
    known(call, event, n)
    return call.attempts[n - 1] if n and call.attempts[n - 1].attended else None


def _name(attempt: Attempt) -> str:
    return attempt.target.replace("_", " ")


def person_called(call: Call, event: PersonCalled, policy: Policy) -> Step:
    """The person's call has a name. Where nobody waits for it any more, `settle` ends it."""
    attempt = _of(call, event, event.attempt)
    if attempt is None or attempt.leg_sid is not None:
        return call, ()  # a callback came first
    return change_attempt(call, event.attempt, leg_sid=event.leg_sid), ()


def person_not_called(call: Call, event: PersonNotCalled, policy: Policy) -> Step:
    """Twilio did not take the order to call the person, or its answer is lost."""
    attempt = _of(call, event, event.attempt)
    if attempt is None or attempt.outcome is not None:
        return call, ()
    if event.failure is Failure.UNKNOWN:  # it may be ringing: its callbacks tell, or its timer
        return call, (StartTimer(Timer.UNCALLED, event.attempt, UNKNOWN_CALL_SECONDS),)
    return _in_vain(call, event, policy, event.attempt, Outcome.FAILED, event.code)


def person_ringing(call: Call, event: PersonRinging, policy: Policy) -> Step:
    """The person's phone rings."""
    attempt = _of(call, event, event.attempt)
    if attempt is None:
        return call, ()  # the caller hears it
    call = _with_leg(call, event.attempt, event.leg_sid)
    if attempt.outcome is not None or attempt.rang_at is not None:
        return call, ()
    text = f"The phone at {_name(attempt)} is ringing. Stay with the caller and go on helping; do not mention this."
    return change_attempt(call, event.attempt, rang_at=event.at), (TellBot(text),)


def _with_leg(call: Call, n: int, leg_sid: str) -> Call:
    return change_attempt(call, n, leg_sid=leg_sid) if leg_sid and call.attempts[n - 1].leg_sid is None else call


def attended_answered(call: Call, event: PersonAnswered, policy: Policy) -> Step:
    """The person, or a mailbox, has picked up."""
    attempt = call.attempts[event.attempt - 1]
    call = _with_leg(call, event.attempt, event.leg_sid)
    if attempt.outcome is not None:
        return change_attempt(call, event.attempt, leg_over=True), ()  # too late: the answer tells them so
    if event.machine and attempt.answered_at is None:
        call = change_attempt(call, event.attempt, answered_at=event.at, machine=True, leg_over=True)
        return _in_vain(call, event, policy, event.attempt, Outcome.MACHINE)
    if attempt.answered_at is not None:
        return call, ()
    text = f"Somebody at {_name(attempt)} has picked up and is being told who is calling. Stay with the caller."
    return change_attempt(call, event.attempt, answered_at=event.at), (TellBot(text),)


def attended_accepted(call: Call, event: PersonAccepted, policy: Policy) -> Step:
    """The person takes the call: the bot says its last sentence, then the caller is moved."""
    attempt = call.attempts[event.attempt - 1]
    if attempt.outcome is not None or attempt.accepted_at is not None or call.phase is not Phase.SEEKING:
        return call, ()  # somebody else was faster, or nobody waits any more
    if event.at_page and attempt.answered_at is None:
        return call, ()  # they have to pick up their telephone first
    call = change_attempt(call, event.attempt, accepted_at=event.at, answered_at=attempt.answered_at or event.at)
    n = len(call.handoffs)
    goodbye = StartTimer(Timer.GOODBYE, n, policy.goodbye_seconds)
    brought = (BringPerson(event.attempt),) if event.at_page else ()
    return replace(call, phase=Phase.LEAVING), (SayGoodbye(n), goodbye, *brought)


def attended_declined(call: Call, event: PersonDeclined, policy: Policy) -> Step:
    """The person does not take the call. A key is answered with the end of their leg; a button is not."""
    attempt = call.attempts[event.attempt - 1]
    if attempt.outcome is not None or attempt.accepted_at is not None:
        return call, ()
    changes = {"declined": True, "leg_over": not event.at_page, "why": event.reason, "message": event.message}
    call = change_attempt(call, event.attempt, **changes)
    return _in_vain(call, event, policy, event.attempt, Outcome.DECLINED)


def attended_leg_ended(call: Call, event: PersonLegEnded, policy: Policy) -> Step:
    """The person's leg is over."""
    n = event.attempt
    call = change_attempt(call, n, leg_over=True, letting_go=False)
    attempt = call.attempts[n - 1]
    if attempt.outcome is None and attempt.waits and call.phase is Phase.PERSON:
        # Gone before the caller was back in the conference, and it may be that they come into an empty one.
        call = change_attempt(close_attempt(call, event.at, Outcome.ANSWERED, n=n), n, ended_by="person")
        return back_from(call, policy)
    if attempt.outcome is not None or attempt.bridged_at is not None:
        return call, ()  # after a conversation the caller's own Dial tells the end
    if attempt.accepted_at is None:
        return _in_vain(call, event, policy, n, _ENDED.get(event.status, Outcome.FAILED), event.code)
    call = close_attempt(call, event.at, Outcome.LEFT, n=n)
    match call.phase:
        case Phase.LEAVING:
            call, effects = seek(replace(call, phase=Phase.SEEKING), event, policy)
            stays = ListenAgain(briefing.PERSON_LEFT) if call.phase is Phase.SEEKING else None
            return call, (*([stays] if stays else []), *effects)
        case Phase.PERSON:
            return back_from(call, policy)  # into an empty conference: the caller is fetched back
        case _:
            return call, ()  # a redirect is under way; when it has taken effect, they are fetched back


def person_stays(call: Call, event: PersonStays, policy: Policy) -> Step:
    """Whoever was to be let go of is still there: the process that was to order it has died before it did."""
    attempt = _of(call, event, event.attempt)
    return call, (ReleasePerson(event.attempt),) if attempt is not None and attempt.letting_go else ()


def bridged(call: Call, event: Bridged, policy: Policy) -> Step:
    """The caller is in the conference, and so is the person."""
    attempt = _of(call, event, event.attempt)
    if attempt is not None and attempt.outcome is None and attempt.waits:
        return change_attempt(call, event.attempt, waits=False), ()  # together again
    if attempt is None or open_attempt(call, event.attempt) is None or attempt.bridged_at is not None:
        return call, ()
    if attempt.accepted_at is None or call.phase not in (Phase.REDIRECTING, Phase.PERSON):
        return call, ()
    call = change_attempt(call, event.attempt, bridged_at=event.at)
    # Once: they are bridged once, however often they step out and in, and whoever else is told of it.
    introduces = event.conference and resolve(policy, attempt.target).mode is Mode.INTRODUCE
    effects = (Introduce(event.attempt, event.conference),) if introduces else ()
    return replace(call, phase=Phase.PERSON, stream_open=False), effects


def introduction_ended(call: Call, event: IntroductionEnded, policy: Policy) -> Step:
    """Both have heard who the other is, or not. They talk all the same."""
    attempt = _of(call, event, event.attempt)
    if attempt is None or attempt.outcome is not None or attempt.bridged_at is None or attempt.introduced is not None:
        return call, ()
    return change_attempt(call, event.attempt, introduced=event.said), ()


def person_overdue(call: Call, event: TimerFired, policy: Policy) -> Step:
    """Nothing more was heard of a person who was called; or nothing at all, where the order got no clear answer."""
    n = event.number
    attempt = call.attempts[n - 1] if 0 < n <= len(call.attempts) else None
    if attempt is None or not attempt.attended or attempt.outcome is not None or attempt.accepted_at is not None:
        return call, ()
    if event.timer is Timer.UNCALLED and attempt.leg_sid is not None:
        return call, ()  # it was carried out
    outcome = Outcome.NO_ANSWER if attempt.leg_sid else Outcome.FAILED
    return _in_vain(call, event, policy, n, outcome)


def _in_vain(
    call: Call,
    event: Event,
    policy: Policy,
    n: int,
    outcome: Outcome,
    code: int | None = None,
) -> Step:
    """One attempt is over without anybody: when it was the last of its kind, the next ones are called."""
    call = close_attempt(call, event.at, outcome, code, n=n)
    if call.phase is not Phase.SEEKING:
        return call, ()
    words = briefing.tried(call.attempts[n - 1])
    told = ListenAgain(words) if call.attempts[n - 1].message else TellBot(words)
    if any(attempt.attended and attempt.outcome is None for attempt in call.attempts):
        return call, (told,)
    call, effects = seek(call, event, policy)
    return call, (told, *effects)
