"""The law of a call's life: `step(call, event, policy) -> (call, effects)`.

Rule 1: everything that decides what happens to a caller is in this file. Nothing else changes a call.
Rule 2: this file awaits nothing, reads no clock, logs nothing and knows no TwiML. Time arrives in events.

A *phase* says who has the caller, an *event* is a fact, an *effect* is an order. A document among the effects answers
the webhook that brought the event, or redirects the live call where no webhook did.

Facts arrive late, twice and out of order: a webhook is retried, a callback overtakes the answer to
the REST request that caused it, a `stop` follows the redirect that it acknowledges. Each such case
stands below with its reason and changes nothing. An event that contradicts the call raises
`ImpossibleEvent` and leaves the call untouched.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot import briefing, triggers
from bot.asked import PersonStays
from bot.attended import (
    attended_accepted,
    attended_answered,
    attended_declined,
    attended_leg_ended,
    bridged,
    introduction_ended,
    is_attended,
    person_called,
    person_not_called,
    person_overdue,
    person_ringing,
    person_stays,
    seek,
    settle,
)
from bot.booking import BOOKING
from bot.call import STREAM_PHASES, By, Call, End, Phase, end_call, over, waiting_person
from bot.consultation import CONSULTATION
from bot.dialled import dial_ended, person_accepted, person_answered, person_declined, person_leg_ended
from bot.effects import (
    Adjust,
    Advise,
    AskTwilio,
    ConnectBot,
    Document,
    FindPeople,
    GiveWay,
    HangUp,
    ListenAgain,
    SayGoodbye,
    StartTimer,
    Step,
    TakeMessage,
    Timer,
)
from bot.events import (
    Bridged,
    CalleeAnswered,
    CalleeMissed,
    CallEnded,
    CallerSaid,
    CallerSpoke,
    CallLives,
    ChangeAsked,
    DialEnded,
    Event,
    FarewellHeard,
    FarewellRequested,
    GoodbyeHeard,
    GoodbyeInterrupted,
    HandoffRequested,
    HangUpFailed,
    HintGiven,
    ImpossibleEvent,
    KeyPressed,
    LimitReached,
    LineSilent,
    MessageRecorded,
    ModelLost,
    ModelRenewed,
    PersonAccepted,
    PersonAnswered,
    PersonCalled,
    PersonDeclined,
    PersonLegEnded,
    PersonNotCalled,
    PersonRinging,
    RedirectAccepted,
    RedirectFailed,
    RescueAsked,
    StreamEnded,
    StreamStarted,
    TimerFired,
    ToolEnded,
)
from bot.lost_model import model_lost, model_renewed
from bot.outgoing import callee_answered, callee_missed
from bot.parting import caller_spoke, farewell_heard, farewell_requested, hang_up_failed, hang_up_overdue
from bot.person_events import IntroductionEnded
from bot.queue_rules import is_queue
from bot.queued import QUEUED
from bot.reconciled import RECONCILED
from bot.rescue import line_lost, rescue_asked
from bot.routing import BargeIn, Policy, finders, resolve
from bot.sent_back import SENT_BACK, with_person
from bot.supervision import SENDS_ON, SUPERVISION, settle_joins
from bot.taping import TAPING, settle_recordings
from bot.transcribed import TRANSCRIBED
from bot.transfer import (
    CHECK_SECONDS,
    FAILSAFE_CHECK_SECONDS,
    agree,
    give_up_redirect,
    known,
    latest_document,
    message_recorded,
    next_stop,
    redirect,
    redirect_accepted,
    redirect_failed,
    redirect_is_overdue,
    redirected,
    straight_to,
    texts,
)


def answer(sid: str, caller: str, called: str, at: float) -> Step:
    """A call comes in: the bot answers it.

    Args:
        sid: Twilio's CallSid.
        caller: The caller's number as Twilio gives it (E.164, or words such as `anonymous`).
        called: Our number.
        at: Unix seconds.
    """
    call = Call(sid, caller, called, at)
    return call, (ConnectBot(call.leg), StartTimer(Timer.CHECK, 0, CHECK_SECONDS))


def answer_without_bot(sid: str, caller: str, called: str, at: float, policy: Policy, reason: str) -> Step:
    """A call comes in while the bot takes none: the people of the failsafe target are rung.

    Args:
        sid: See `answer`, as the next three.
        caller: The caller's number.
        called: Our number.
        at: Unix seconds.
        policy: The operator's rules.
        reason: Why the bot takes none, for the record and for the person.
    """
    request = HandoffRequested(at=at, target=policy.failsafe, reason=reason, by=By.CLOSED)
    before = Call(sid, caller, called, at)
    after, effects = straight_to(before, request, policy)
    return after, (*effects, *texts(before, after, policy))


def step(call: Call, event: Event, policy: Policy) -> Step:
    """Apply one fact to a call.

    Args:
        call: What is known so far.
        event: The fact.
        policy: The operator's rules.

    Returns:
        The call as it is now and the orders that follow. A late or repeated fact returns the very
        same call and no orders.

    Raises:
        ImpossibleEvent: The event contradicts the call.
    """
    after, effects = HANDLERS[type(event)](call, event, policy)
    after, released = settle(settle_joins(after, event.at), event.at)
    after, recorded = settle_recordings(after, event.at, policy)
    return after, (*effects, *texts(call, after, policy), *released, *recorded)


def standing_document(call: Call) -> Document:
    """What Twilio shall be doing with the caller now: the answer to a webhook that changed nothing.

    A webhook that is retried because our first answer was lost gets that answer once more. While our stream is open
    Twilio waits for no document; should one be asked for, the caller gets the bot, or who stands behind the bot in that
    document.
    """
    match call.phase:
        case Phase.RINGING | Phase.QUEUED:
            return latest_document(call)
        case Phase.REDIRECTING | Phase.PERSON if n := waiting_person(call):
            return with_person(call, n)
        case Phase.REDIRECTING if call.attempts and call.attempts[-1].outcome is None:
            return latest_document(call)
        case Phase.VOICEMAIL:
            return TakeMessage()
        case Phase.REDIRECTING if call.handoffs[-1].target is None:
            return TakeMessage()
        case Phase.PERSON if is_queue(call.attempts[-1].number):
            return latest_document(call)  # somebody else's order has moved them: it counts, and this waits for nobody
        case Phase.PERSON | Phase.CLOSING | Phase.ENDED:
            return HangUp()
        case _:
            return ConnectBot(call.leg)


# --- the bot has the caller --------------------------------------------------------------------------


def _stream_started(call: Call, event: StreamStarted, policy: Policy) -> Step:
    # A stream nobody waits for is a token used twice or one of another leg.
    if call.phase is not Phase.CONNECTING or event.leg != call.leg:
        raise ImpossibleEvent(call, event)
    left = max(call.started_at + policy.bot_seconds - event.at, 1.0)
    limit = StartTimer(Timer.LIMIT, call.leg, left)
    return replace(call, phase=Phase.BOT, stream_open=True, renewing=False), (limit,)


def _stream_ended(call: Call, event: StreamEnded, policy: Policy) -> Step:
    if event.leg > call.leg:
        raise ImpossibleEvent(call, event)
    if event.leg < call.leg or not call.stream_open:
        return call, ()  # the end of an earlier stream, told late
    call = replace(call, stream_open=False)
    match call.phase:
        case Phase.BOT | Phase.SEEKING | Phase.LEAVING | Phase.PARTING if event.stopped:
            return end_call(call, event.at, End.CALLER_HUNG_UP), ()
        case Phase.JOINED if event.stopped:
            return end_call(call, event.at, End.PUT_THROUGH), ()
        case Phase.CLOSING if event.stopped:
            return end_call(call, event.at, End.BOT_HUNG_UP), ()
        case Phase.BOT | Phase.SEEKING | Phase.JOINED | Phase.LEAVING | Phase.PARTING | Phase.CLOSING:
            return line_lost(call, event, policy)
        case Phase.REDIRECTING if event.stopped:
            return redirected(call, policy)  # `stop` is the redirect's acknowledgement
        case _:
            return call, ()  # the answer to the redirect came first


def _handoff_requested(call: Call, event: HandoffRequested, policy: Policy) -> Step:
    joined = call.phase is Phase.JOINED and event.by in SENDS_ON
    if call.phase not in (Phase.BOT, Phase.PARTING) and not joined:
        # Asked again while it is being done, or the caller is already with somebody: once is enough.
        return call, ()
    call = replace(agree(call, event, policy), unclear=0, tool_errors=0)
    handoff = call.handoffs[-1]
    if handoff.target is not None and next_stop(call, policy) is None:
        shut = replace(handoff, closed=True)
        if joined:
            return replace(call, handoffs=(*call.handoffs[:-1], shut)), ()
        call = replace(call, phase=Phase.BOT, handoffs=(*call.handoffs[:-1], shut))
        return call, (ListenAgain(briefing.closed(resolve(policy, handoff.target), event.at)),)
    if is_attended(call, policy):
        call, effects = seek(call, event, policy)
        if event.by is not By.MODEL and handoff.target is not None:
            told = GiveWay() if joined else ListenAgain(briefing.being_called(resolve(policy, handoff.target)))
            effects = (told, *effects)
        return call, effects
    n = len(call.handoffs)
    call = replace(call, phase=Phase.LEAVING)
    return call, (SayGoodbye(n), StartTimer(Timer.GOODBYE, n, policy.goodbye_seconds))


def _change_asked(call: Call, event: ChangeAsked, policy: Policy) -> Step:
    if call.phase is not Phase.BOT or event.change == call.change:
        return call, ()  # asked twice, or the caller is on the way to somebody
    return replace(call, change=event.change), (Adjust(event.change),)


def _goodbye_heard(call: Call, event: GoodbyeHeard, policy: Policy) -> Step:
    if event.handoff > len(call.handoffs):
        raise ImpossibleEvent(call, event)
    if call.phase is not Phase.LEAVING or event.handoff < len(call.handoffs):
        return call, ()  # the deadline came first
    return redirect(call, event, policy)


def _goodbye_interrupted(call: Call, event: GoodbyeInterrupted, policy: Policy) -> Step:
    if event.handoff > len(call.handoffs):
        raise ImpossibleEvent(call, event)
    if call.phase is not Phase.LEAVING or event.handoff < len(call.handoffs):
        return call, ()
    if policy.goodbye_barge_in is BargeIn.FINISH:
        return call, (SayGoodbye(event.handoff),)  # once more: a goodbye is heard to its end
    withdrawn = replace(call.handoffs[-1], withdrawn=True)
    call = replace(call, phase=Phase.BOT, handoffs=(*call.handoffs[:-1], withdrawn))
    advice = (
        "The caller spoke while you were saying goodbye, so they have not been put through. Listen to "
        "what they say. If they still want a person, hand off again."
    )
    return call, (ListenAgain(advice),)


def _hint_given(call: Call, event: HintGiven, policy: Policy) -> Step:
    # A bot that is saying goodbye has nothing left to do with a hint.
    return call, (Advise(event.text),) if call.phase is Phase.BOT else ()


def _perhaps(
    notice: Callable[[Call, Any, Policy], tuple[Call, HandoffRequested | None]],
) -> Callable[[Call, Any, Policy], Step]:
    """The handler of a fact that may lead to a person without the model; see `bot.triggers`."""

    def handle(call: Call, event: Event, policy: Policy) -> Step:
        if call.phase not in (Phase.BOT, Phase.PARTING):
            return call, ()  # a person is on the way already, or there is no bot to go away from
        call, request = notice(call, event, policy)
        if request is None:
            return call, ()
        if request.target is not None and finders(policy, request.target):
            return call, (FindPeople(request.target, request.reason, request.by),)
        return _handoff_requested(call, request, policy)

    return handle


def _by_mode(
    attended: Callable[[Call, Any, Policy], Step], dialled: Callable[[Call, Any, Policy], Step]
) -> Callable[[Call, Any, Policy], Step]:
    """The handler of what a person does, by whether the bot or a ringing tone has the caller meanwhile."""

    def handle(call: Call, event: Any, policy: Policy) -> Step:
        known(call, event, event.attempt)
        n: int = event.attempt
        called = n > 0 and call.attempts[n - 1].attended
        return (attended if called else dialled)(call, event, policy)

    return handle


def _limit_reached(call: Call, event: LimitReached, policy: Policy) -> Step:
    if call.phase is not Phase.BOT:
        return call, ()
    reason = "the call has been with the bot for as long as it may"
    request = HandoffRequested(at=event.at, target=policy.failsafe, reason=reason, by=By.LIMIT)
    return _handoff_requested(call, request, policy)


# --- the end ------------------------------------------------------------------------------------------


def _call_ended(call: Call, event: CallEnded, policy: Policy) -> Step:
    return over(call, event.at), ()


def _call_lives(call: Call, event: CallLives, policy: Policy) -> Step:
    if call.phase in (Phase.ENDED, *STREAM_PHASES):
        return call, ()
    if call.phase is Phase.CONNECTING:
        return line_lost(call, event, policy)  # the stream never came: Twilio has gone on
    by_itself = call.attempts and call.attempts[-1].failsafe
    wait = FAILSAFE_CHECK_SECONDS if by_itself else CHECK_SECONDS
    return call, (StartTimer(Timer.CHECK, len(call.attempts), wait),)


def _timer_fired(call: Call, event: TimerFired, policy: Policy) -> Step:
    match event.timer:
        case Timer.GOODBYE if call.phase is Phase.LEAVING and event.number == len(call.handoffs):
            return redirect(call, event, policy)
        case Timer.FAREWELL if call.phase is Phase.PARTING:
            heard = FarewellHeard(at=event.at, farewell=event.number)
            return farewell_heard(call, heard, policy)
        case Timer.RENEWAL if call.renewing and event.number == call.renewals:
            return model_lost(call, ModelLost(at=event.at, reason="no new session of the model"), policy)
        case Timer.PERSON | Timer.UNCALLED:
            return person_overdue(call, event, policy)
        case Timer.LIMIT if call.phase in STREAM_PHASES and event.number == call.leg:
            again = StartTimer(Timer.LIMIT, call.leg, CHECK_SECONDS)  # for a caller who keeps the bot after all
            call, effects = _limit_reached(call, LimitReached(at=event.at, what="seconds"), policy)
            return call, (*effects, again)
        case Timer.REDIRECT if event.number == len(call.handoffs) and redirect_is_overdue(call):
            return give_up_redirect(call, event, policy)
        case Timer.HANG_UP if call.phase is Phase.CLOSING:
            return hang_up_overdue(call, event.number)
        case Timer.CHECK if call.phase not in (*STREAM_PHASES, Phase.ENDED):
            return call, (AskTwilio(),)
        case _:
            return call, ()  # what it waited for has happened


HANDLERS: dict[type[Event], Callable[[Call, Any, Policy], Step]] = {
    CalleeAnswered: callee_answered,
    CalleeMissed: callee_missed,
    StreamStarted: _stream_started,
    StreamEnded: _stream_ended,
    HandoffRequested: _handoff_requested,
    ChangeAsked: _change_asked,
    GoodbyeHeard: _goodbye_heard,
    GoodbyeInterrupted: _goodbye_interrupted,
    FarewellRequested: farewell_requested,
    FarewellHeard: farewell_heard,
    HintGiven: _hint_given,
    CallerSpoke: caller_spoke,
    CallerSaid: _perhaps(triggers.caller_said),
    KeyPressed: _perhaps(triggers.key_pressed),
    **BOOKING,
    LineSilent: _perhaps(triggers.line_silent),
    ToolEnded: _perhaps(triggers.tool_ended),
    ModelLost: model_lost,
    ModelRenewed: model_renewed,
    LimitReached: _limit_reached,
    RescueAsked: rescue_asked,
    RedirectAccepted: redirect_accepted,
    RedirectFailed: redirect_failed,
    HangUpFailed: hang_up_failed,
    PersonCalled: person_called,
    PersonNotCalled: person_not_called,
    PersonRinging: person_ringing,
    PersonAnswered: _by_mode(attended_answered, person_answered),
    PersonAccepted: _by_mode(attended_accepted, person_accepted),
    PersonDeclined: _by_mode(attended_declined, person_declined),
    PersonLegEnded: _by_mode(attended_leg_ended, person_leg_ended),
    Bridged: bridged,
    IntroductionEnded: introduction_ended,
    **CONSULTATION,
    **SUPERVISION,
    **SENT_BACK,
    **QUEUED,
    **TAPING,
    DialEnded: dial_ended,
    MessageRecorded: message_recorded,
    **TRANSCRIBED,
    CallEnded: _call_ended,
    CallLives: _call_lives,
    **RECONCILED,
    PersonStays: person_stays,
    TimerFired: _timer_fired,
}
EVENTS: tuple[type[Event], ...] = tuple(HANDLERS)
"""Every kind of event, in the order of a call's life."""
