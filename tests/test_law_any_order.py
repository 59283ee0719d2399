"""Whatever happens, in whatever order: what must hold for a call at every step."""

from dataclasses import replace

from calls import CALLER, POLICY, RECORDING, RESCUED, SID, US, leg
from hypothesis import given, settings, strategies as st

from bot import effects as ef, events as ev, person_events as pe, queue_events as qe, recording_events as rec
from bot.asked import PersonStays, Reconciled
from bot.call import STREAM_PHASES, Call, Outcome, Phase, latest_open, waiting_person
from bot.effects import Effect
from bot.events import Event, ImpossibleEvent
from bot.law import answer, standing_document, step
from bot.outgoing import place
from bot.queue_rules import is_queue
from bot.recorded import Part, RecordingRules
from bot.rescue import BOT_RESCUES
from bot.routing import Mode, Policy, allowed_numbers, resolve
from bot.voicemail import Transcription

numbers = st.integers(0, 3)
flags = st.booleans()
targets = st.sampled_from(["desk", "billing", "doctor", "crew", "support", None, "nowhere", "+19005550100", "911"])
statuses = st.sampled_from(["completed", "answered", "busy", "no-answer", "failed", "canceled", ""])

results = st.sampled_from(["bridged", "leave", "hangup", "queue-full", "redirected", "bridging-in-process", ""])


def event(kind: type[Event], **facts: st.SearchStrategy[object]) -> st.SearchStrategy[Event]:
    """Events of one kind, without a time yet."""
    return st.builds(kind, at=st.just(0.0), **facts)


TALKED_WITH = {"doctor": Mode.INTRODUCE, "crew": Mode.CONSULT}
TARGETS = {key: replace(target, mode=TALKED_WITH.get(key, target.mode)) for key, target in POLICY.targets.items()}
RECORDED = RecordingRules(bot=True, person=True, announcement="This call is recorded.")
TALKED = replace(POLICY, targets=TARGETS)
policies = st.sampled_from(
    [*(replace(each, recording=RECORDED) for each in (POLICY, RESCUED, TALKED)), POLICY, RESCUED, TALKED]
)
recordings = st.sampled_from([RECORDING, RECORDING.replace("2b", "3c")])

events = st.one_of(
    event(ev.CalleeAnswered, machine=flags),
    event(ev.CalleeMissed, status=statuses),
    event(ev.StreamStarted, leg=numbers),
    event(ev.StreamEnded, leg=numbers, stopped=flags),
    event(ev.HandoffRequested, target=targets),
    event(ev.GoodbyeHeard, handoff=numbers),
    event(ev.GoodbyeInterrupted, handoff=numbers),
    event(ev.FarewellRequested, who=st.sampled_from(["", "Anna"])),
    event(ev.HintGiven, text=st.just("Offer the refund."), who=st.just("Anna")),
    event(ev.FarewellHeard, farewell=numbers),
    event(ev.CallerSpoke),
    event(ev.CallerSaid, text=st.sampled_from(["", "Hello?", "A person!", "This is ridiculous!!!"])),
    event(ev.LineSilent),
    event(ev.ToolEnded, name=st.just("order_status"), failed=flags),
    event(ev.KeyPressed, digit=st.sampled_from("0123456789*#")),
    event(ev.RedirectAccepted),
    event(ev.RedirectFailed, failure=st.sampled_from(ev.Failure)),
    event(ev.HangUpFailed, failure=st.sampled_from(ev.Failure)),
    event(ev.PersonCalled, attempt=numbers, leg_sid=st.sampled_from([leg(1), leg(2)])),
    event(ev.PersonNotCalled, attempt=numbers, failure=st.sampled_from(ev.Failure)),
    event(ev.PersonRinging, attempt=numbers, leg_sid=st.sampled_from(["", leg(1)])),
    event(ev.Bridged, attempt=numbers, conference=st.sampled_from(["", f"CF{1:032x}"])),
    event(pe.IntroductionEnded, attempt=numbers, said=flags),
    event(pe.ConsultationStarted, attempt=numbers),
    event(pe.ConsultationEnded, attempt=numbers),
    event(pe.SupervisorJoined, who=st.just("Anna")),
    event(pe.SupervisorLeft, join=numbers),
    event(ev.PersonAnswered, attempt=numbers, machine=flags, leg_sid=st.sampled_from(["", leg(2)])),
    event(ev.PersonAccepted, attempt=numbers),
    event(ev.PersonDeclined, attempt=numbers, message=st.sampled_from(["", "Call tomorrow."])),
    event(ev.PersonLegEnded, attempt=numbers, status=statuses),
    event(ev.DialEnded, attempt=numbers, status=statuses, bridged=flags, caller_gone=flags),
    event(qe.CallerWaits, attempt=numbers, position=numbers, seconds=numbers),
    event(qe.WaitGivenUp, attempt=numbers),
    event(qe.TakenFromQueue, who=st.just("+442079460108")),
    event(qe.QueueLeft, attempt=numbers, result=results, caller_gone=flags),
    event(ev.MessageRecorded, url=st.just("https://api.example/RE1"), seconds=numbers, failsafe=flags),
    event(ev.RescueAsked, leg=numbers, closed=st.sampled_from(["", "no place"])),
    event(Reconciled, ended_at=st.floats(0, 100), legs=st.just(())),
    event(PersonStays, attempt=numbers),
    event(ev.MessageTranscribed, transcription=st.sampled_from(Transcription)),
    event(ev.LimitReached, what=st.just("tokens")),
    event(rec.RecordingBegan, recording=numbers, url=recordings),
    event(rec.RecordingNotBegan, recording=numbers, failure=st.sampled_from(ev.Failure)),
    event(rec.RecordingStopped, recording=numbers),
    event(rec.RecordingNotStopped, recording=numbers, failure=st.sampled_from(ev.Failure)),
    event(
        rec.RecordingReady,
        part=st.sampled_from(Part),
        url=recordings,
        seconds=numbers,
        began_at=st.just(0.0),
        recording=numbers,
        attempt=numbers,
    ),
    event(ev.CallEnded),
    event(ev.CallLives),
    event(ev.ModelLost, reason=st.just("gone"), for_good=flags),
    event(ev.ModelRenewed, renewal=st.integers(1, 3)),
    event(ev.TimerFired, timer=st.sampled_from(ef.Timer), number=numbers),
)


def lives(
    happenings: list[Event], policy: Policy, *, ours: bool = False
) -> list[tuple[Call, Event, Call, tuple[Effect, ...]]]:
    """Every step of a call to which these things happen; impossible ones are left out."""
    call, _ = place(SID, CALLER, US, 0.0) if ours else answer(SID, CALLER, US, 0.0)
    steps = []
    for happening in [*([] if ours else [ev.StreamStarted(at=0.0, leg=1)]), *happenings]:
        try:
            after, effects = step(call, happening, policy)
        except ImpossibleEvent:
            continue
        steps.append((call, happening, after, effects))
        call = after
    return steps


@settings(max_examples=600)
@given(st.lists(events, max_size=60), policies, flags)
def test_whatever_happens_the_laws_hold(happenings: list[Event], policy: Policy, ours: bool):
    dialled: list[int] = []
    called: list[int] = []
    introduced: list[int] = []
    for before, _, after, effects in lives(happenings, policy, ours=ours):
        documents = [e for e in effects if isinstance(e, ef.Document)]
        assert len(documents) <= 1
        # One attempt, one order to dial it.
        dialled += [e.attempt for e in effects if isinstance(e, ef.DialPerson | ef.Enqueue)]
        assert len(dialled) == len(set(dialled))
        # Only the operator's numbers.
        for attempt in after.attempts:
            assert set(attempt.number.split(",")) <= allowed_numbers(POLICY)
        # Nothing follows the end; a message told of late is all that may still be learnt.
        if before.phase is Phase.ENDED:
            assert after.phase is Phase.ENDED
            assert all(isinstance(effect, ef.ReleasePerson) for effect in effects)
        # The call is hung up only by a bot that has said goodbye, or after a person or the recorder is done.
        if ef.HangUp() in effects:
            assert before.phase in (Phase.PARTING, Phase.CLOSING) or after.phase is Phase.ENDED
        # Whoever leaves the bot is given to somebody.
        if before.phase in STREAM_PHASES and after.phase not in (*STREAM_PHASES, Phase.ENDED):
            asks = policy.rescue and after.phase in (Phase.RESCUE, Phase.REDIRECTING)
            assert documents or asks or after.attempts[-1].failsafe
        # Nobody is called twice for one attempt; nobody rings on for whom nobody waits.
        called += [e.attempt for e in effects if isinstance(e, ef.CallPerson)]
        assert len(called) == len(set(called))
        # Two are introduced to each other once, and only when they are together.
        introduced += [e.attempt for e in effects if isinstance(e, ef.Introduce)]
        assert len(introduced) == len(set(introduced))
        assert all(after.attempts[n - 1].bridged_at is not None for n in introduced)
        for n, attempt in enumerate(after.attempts, 1):
            if attempt.attended and attempt.outcome is None:
                assert after.phase is Phase.SEEKING or n == waiting_person(after)
            if attempt.attended and attempt.leg_sid and attempt.outcome not in (None, Outcome.ANSWERED):
                assert attempt.leg_over
        # Nobody is moved to somebody who has not taken the call.
        for effect in documents:
            if isinstance(effect, ef.MeetPerson):
                assert after.attempts[effect.attempt - 1].accepted_at is not None
        # What is recorded of the bot ends when the caller leaves it, and is told to end once at least.
        for n, (old, new) in enumerate(zip(before.recordings, after.recordings, strict=False), 1):
            if old.left_at is None and new.left_at is not None:
                assert ef.StopRecording(n) in effects
        if after.phase not in (*STREAM_PHASES, Phase.CLOSING, Phase.ENDED):
            running = [each for each in after.recordings if each.part is Part.BOT and each.seconds is None]
            assert all(each.failed or each.left_at is not None for each in running)
        # Every answer to a webhook is something the caller hears, or the end.
        assert standing_document(after) is not None
        # No loop.
        assert len(after.handoffs) <= POLICY.max_hops + after.leg + len(happenings)
        assert after.leg <= 1 + len(POLICY.nobody) + BOT_RESCUES
        assert after.nobody <= len(after.handoffs)


@settings(max_examples=200)
@given(st.lists(events, max_size=40), policies)
def test_a_fact_told_twice_is_done_once(happenings: list[Event], policy: Policy):
    for _, happening, after, effects in lives(happenings, policy):
        try:
            _, again = step(after, happening, policy)
        except ImpossibleEvent:
            continue
        moved = ef.DialPerson | ef.Enqueue | ef.ConnectBot
        if any(isinstance(effect, moved | ef.TakeMessage) for effect in effects):
            assert not any(isinstance(effect, moved) for effect in again)


@settings(max_examples=200)
@given(st.lists(events, max_size=40), policies)
def test_outcomes_are_never_rewritten(happenings: list[Event], policy: Policy):
    for before, happening, after, _ in lives(happenings, policy):
        for old, new in zip(before.attempts, after.attempts, strict=False):
            if old.outcome is not None:
                told_late = {"leg_sid": new.leg_sid, "leg_over": new.leg_over}
                if is_queue(old.number) and old.outcome is Outcome.CALLER_GONE and isinstance(happening, qe.QueueLeft):
                    # The end of the call was told first: then it looked as if nobody had taken them.
                    told_late |= {"outcome": Outcome.ANSWERED, "ended_by": "caller"} if new != old else {}
                assert new == replace(old, **told_late)


@settings(max_examples=200)
@given(st.lists(events, max_size=40), policies)
def test_every_wait_has_an_end(happenings: list[Event], policy: Policy):
    waits = {Phase.SEEKING, Phase.LEAVING, Phase.REDIRECTING, Phase.RINGING, Phase.QUEUED, Phase.PERSON,
             Phase.VOICEMAIL, Phase.FAILSAFE, Phase.RESCUE, Phase.PARTING, Phase.CLOSING}  # fmt: skip
    for before, _, after, effects in lives(happenings, policy):
        if after.phase is not before.phase and after.phase in waits:
            assert any(isinstance(effect, ef.StartTimer) for effect in effects), (before.phase, after.phase)


@settings(max_examples=300)
@given(st.lists(events, max_size=60), policies)
def test_nobody_has_the_caller_who_was_asked_and_has_not_said_yes(happenings: list[Event], policy: Policy):
    said_yes: set[int] = set()
    for _, happening, after, _ in lives(happenings, policy):
        if isinstance(happening, ev.PersonAccepted):
            said_yes.add(happening.attempt)
        if isinstance(happening, qe.TakenFromQueue):
            said_yes.add(latest_open(after))
        for n, attempt in enumerate(after.attempts, 1):
            asked = resolve(policy, attempt.target).mode is not Mode.DIAL and not attempt.failsafe
            assert attempt.bridged_at is None or not asked or n in said_yes
            assert not attempt.attended or attempt.accepted_at is None or n in said_yes
