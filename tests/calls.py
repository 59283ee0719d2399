"""Calls for the tests of the law: a policy, a call in each phase, and an event of each kind."""

from dataclasses import replace

from bot import effects as ef, events as ev, person_events as pe, queue_events as qe, recording_events as rec
from bot.asked import PersonStays, Reconciled
from bot.call import Call, Phase
from bot.callback_rules import CallbackRules
from bot.effects import Effect
from bot.events import Event
from bot.law import answer, step
from bot.outgoing import place
from bot.queue_rules import Queue
from bot.recorded import Part
from bot.routing import Endpoint, Mode, Order, Outbound, Phrase, Policy, Target, Triggers
from bot.voicemail import Transcription, Voicemail

SID = "CA" + "a1" * 16
CALLER = "+442079460100"
US = "+442079460199"
RECORDING = f"https://api.twilio.com/2010-04-01/Accounts/AC{'1a' * 16}/Recordings/RE{'2b' * 16}"

QUEUE = Queue("support", max_wait=120, people=(Endpoint("+442079460108", 20),))
POLICY = Policy(
    targets={
        "desk": Target("desk", "General questions", (Endpoint("+442079460101", 20), Endpoint("+442079460102", 25))),
        "billing": Target("billing", "Invoices", (Endpoint("+442079460103", 20),), mode=Mode.SCREENED),
        "doctor": Target(
            "doctor",
            "Urgent matters",
            (Endpoint("+442079460104", 20), Endpoint("+442079460105", 20)),
            mode=Mode.ATTENDED,
        ),
        "crew": Target(
            "crew",
            "Anybody",
            (Endpoint("+442079460106", 20), Endpoint("+442079460107", 20)),
            mode=Mode.ATTENDED,
            order=Order.ALL,
        ),
        "support": Target(
            "support", "Problems", (Endpoint(QUEUE.address, QUEUE.max_wait),), mode=Mode.QUEUE, queue=QUEUE
        ),
    },
    default="desk",
    failsafe="desk",
    voicemail=Voicemail("Please leave a message.", 60),
    goodbye_line="One moment, I will put you through.",
    triggers=Triggers(
        keys={"0": "desk"},
        phrases=(Phrase("a person", "desk"), Phrase("un agente", "billing")),
        anger="desk",
        unclear_turns=3,
        unclear_target="desk",
        tool_errors=2,
        tool_error_target="billing",
        silence_seconds=20.0,
        silence_target="desk",
    ),
    outbound=Outbound(US, ("+4420794601*",), message="Please call us back."),
    callback=CallbackRules(tries=2, allow=("+442079460177",)),
)


def leg(n: int) -> str:
    """The CallSid of the call to the person of an attempt."""
    return f"CA{n:032x}"


RESCUED = replace(POLICY, rescue=True)
"""The same where several processes answer."""


class Story:
    """A call that facts happen to, one second apart."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.at = 1000.0
        self.call, self.effects = answer(SID, CALLER, US, self.at)
        self.all_effects: list[Effect] = list(self.effects)

    @classmethod
    def calling(cls, policy: Policy = POLICY) -> "Story":
        """The bot calls, and the phone rings."""
        story = cls(policy)
        story.call, story.effects = place(SID, CALLER, US, story.at, "Their parcel came back.")
        story.all_effects = list(story.effects)
        return story

    def happens(self, kind: type[Event], **facts: object) -> "Story":
        """One fact. Its effects are in `effects`."""
        self.at += 1
        self.call, self.effects = step(self.call, kind(at=self.at, **facts), self.policy)  # type: ignore[call-arg]
        self.all_effects += self.effects
        return self

    @property
    def documents(self) -> list[Effect]:
        """The documents among the effects of the last fact."""
        return [effect for effect in self.effects if isinstance(effect, ef.Document)]

    def with_bot(self) -> "Story":
        return self.happens(ev.StreamStarted, leg=self.call.leg)

    def leaving(self, target: str | None = "desk") -> "Story":
        return self.with_bot().asks(target)

    def asks(self, target: str | None = "desk") -> "Story":
        return self.happens(ev.HandoffRequested, target=target, reason="refund", summary="Wants money.")

    def redirecting(self, target: str | None = "desk") -> "Story":
        return self.leaving(target).happens(ev.GoodbyeHeard, handoff=1)

    def ringing(self, target: str | None = "desk") -> "Story":
        return self.redirecting(target).happens(ev.StreamEnded, leg=1, stopped=True)

    def queued(self) -> "Story":
        """The caller waits in a queue."""
        return self.ringing("support").happens(qe.CallerWaits, attempt=1, position=1, seconds=0)

    def left(self, result: str, **facts: object) -> "Story":
        return self.happens(qe.QueueLeft, attempt=1, result=result, **facts)

    def with_person(self) -> "Story":
        return self.ringing().happens(ev.PersonAnswered, attempt=1)

    def ends(self, attempt: int, status: str, *, bridged: bool = False, **facts: object) -> "Story":
        return self.happens(ev.DialEnded, attempt=attempt, status=status, bridged=bridged, **facts)

    def nobody(self) -> "Story":
        """Every number of the target in vain."""
        return self.ringing().ends(1, "busy").ends(2, "no-answer")

    def seeking(self, target: str = "doctor") -> "Story":
        """The bot has the caller, and somebody's phone rings."""
        story = self.leaving(target)
        for n, attempt in enumerate(story.call.attempts, 1):
            assert attempt.attended
            story.called(n)
        return story

    def called(self, n: int) -> "Story":
        return self.happens(ev.PersonCalled, attempt=n, leg_sid=leg(n)).happens(ev.PersonRinging, attempt=n)

    def picked_up(self, n: int) -> "Story":
        return self.happens(ev.PersonAnswered, attempt=n, leg_sid=leg(n))

    def accepts(self, n: int) -> "Story":
        return self.picked_up(n).happens(ev.PersonAccepted, attempt=n)

    def leg_ends(self, n: int, status: str) -> "Story":
        return self.happens(ev.PersonLegEnded, attempt=n, status=status, talked=status == "completed")

    def meeting(self) -> "Story":
        """The person has taken the call, and the caller has been moved to them."""
        story = self.seeking().accepts(1).happens(ev.GoodbyeHeard, handoff=1)
        return story.happens(ev.StreamEnded, leg=1, stopped=True)

    def parting(self) -> "Story":
        return self.with_bot().happens(ev.FarewellRequested)

    def closing(self) -> "Story":
        return self.parting().happens(ev.FarewellHeard, farewell=1)


def call_in(phase: Phase) -> Call:
    """A call whose life has led to this phase."""
    story = Story()
    match phase:
        case Phase.CALLING:
            story = Story.calling()
        case Phase.CONNECTING:
            pass
        case Phase.BOT:
            story.with_bot()
        case Phase.SEEKING:
            story.seeking()
        case Phase.JOINED:
            story.with_bot().happens(pe.SupervisorJoined, who="Anna")
        case Phase.LEAVING:
            story.leaving()
        case Phase.REDIRECTING:
            story.redirecting()
        case Phase.RINGING:
            story.ringing()
        case Phase.QUEUED:
            story.queued()
        case Phase.PERSON:
            story.with_person()
        case Phase.VOICEMAIL:
            story.ringing(None)
        case Phase.FAILSAFE:
            story.with_bot().happens(ev.StreamEnded, leg=1, stopped=False)
        case Phase.RESCUE:
            story = Story(RESCUED).with_bot().happens(ev.StreamEnded, leg=1, stopped=False)
        case Phase.PARTING:
            story.parting()
        case Phase.CLOSING:
            story.closing()
        case Phase.ENDED:
            story.with_bot().happens(ev.StreamEnded, leg=1, stopped=True)
    assert story.call.phase is phase
    return story.call


def samples(at: float = 2000.0) -> dict[str, Event]:
    """One event of each kind, and the kinds that matter twice, by a short name."""
    return {
        "callee answers": ev.CalleeAnswered(at=at),
        "callee's mailbox": ev.CalleeAnswered(at=at, machine=True),
        "callee is busy": ev.CalleeMissed(at=at, status="busy"),
        "stream started": ev.StreamStarted(at=at, leg=1),
        "stop": ev.StreamEnded(at=at, leg=1, stopped=True),
        "socket lost": ev.StreamEnded(at=at, leg=1, stopped=False),
        "hand-off asked": ev.HandoffRequested(at=at, target="desk"),
        "change asked": ev.ChangeAsked(at=at, change="spanish"),
        "number typed": ev.NumberTyped(at=at, number="+442079460122"),
        "callback asked": ev.CallbackAsked(at=at, confirmed=True),
        "callback booked": ev.CallbackBooked(at=at, wish=1, callback="c1", due_at=at),
        "goodbye heard": ev.GoodbyeHeard(at=at, handoff=1),
        "goodbye cut": ev.GoodbyeInterrupted(at=at, handoff=1),
        "end asked": ev.FarewellRequested(at=at),
        "farewell heard": ev.FarewellHeard(at=at, farewell=1),
        "hint": ev.HintGiven(at=at, text="Offer the refund.", who="Anna"),
        "caller speaks": ev.CallerSpoke(at=at),
        "caller said": ev.CallerSaid(at=at, text="Where is my order?"),
        "key": ev.KeyPressed(at=at, digit="0"),
        "silence": ev.LineSilent(at=at),
        "tool used": ev.ToolEnded(at=at, name="order_status", failed=False),
        "model lost": ev.ModelLost(at=at, reason="gone"),
        "limit reached": ev.LimitReached(at=at, what="tokens"),
        "rescue asked": ev.RescueAsked(at=at, leg=1),
        "model renewed": ev.ModelRenewed(at=at, renewal=1),
        "redirect accepted": ev.RedirectAccepted(at=at),
        "redirect refused": ev.RedirectFailed(at=at, failure=ev.Failure.NOT_DONE, code=20003),
        "redirect unknown": ev.RedirectFailed(at=at, failure=ev.Failure.UNKNOWN),
        "redirect: gone": ev.RedirectFailed(at=at, failure=ev.Failure.GONE, code=21220),
        "hang-up: gone": ev.HangUpFailed(at=at, failure=ev.Failure.GONE),
        "person called": ev.PersonCalled(at=at, attempt=1, leg_sid=leg(1)),
        "person not called": ev.PersonNotCalled(at=at, attempt=1, failure=ev.Failure.NOT_DONE, code=20003),
        "person's phone rings": ev.PersonRinging(at=at, attempt=1),
        "person answers": ev.PersonAnswered(at=at, attempt=1),
        "person accepts": ev.PersonAccepted(at=at, attempt=1),
        "consultation begins": pe.ConsultationStarted(at=at, attempt=1),
        "consultation ends": pe.ConsultationEnded(at=at, attempt=1),
        "supervisor joins": pe.SupervisorJoined(at=at, who="Anna"),
        "supervisor leaves": pe.SupervisorLeft(at=at, join=1),
        "person declines": ev.PersonDeclined(at=at, attempt=1),
        "person's leg ends": ev.PersonLegEnded(at=at, attempt=1),
        "together": ev.Bridged(at=at, attempt=1),
        "introduced": pe.IntroductionEnded(at=at, attempt=1, said=True),
        "person sends back": ev.PersonSentBack(at=at, attempt=1),
        "person steps in": ev.PersonSteppedIn(at=at, attempt=1),
        "caller waits": qe.CallerWaits(at=at, attempt=1, position=2, seconds=30),
        "wait given up": qe.WaitGivenUp(at=at, attempt=1),
        "taken from queue": qe.TakenFromQueue(at=at, who="+442079460108"),
        "queue: bridged": qe.QueueLeft(at=at, attempt=1, result="bridged", seconds=40),
        "queue: left": qe.QueueLeft(at=at, attempt=1, result="leave", seconds=120),
        "queue: full": qe.QueueLeft(at=at, attempt=1, result="queue-full"),
        "queue: caller gone": qe.QueueLeft(at=at, attempt=1, result="hangup", caller_gone=True),
        "recording began": rec.RecordingBegan(at=at, recording=1, url=RECORDING),
        "recording refused": rec.RecordingNotBegan(at=at, recording=1, failure=ev.Failure.NOT_DONE),
        "recording stopped": rec.RecordingStopped(at=at, recording=1),
        "recording not stopped": rec.RecordingNotStopped(at=at, recording=1, failure=ev.Failure.UNKNOWN),
        "recording ready": rec.RecordingReady(at=at, part=Part.PERSON, url=RECORDING, seconds=9, began_at=at - 9),
        "dial: bridged": ev.DialEnded(at=at, attempt=1, status="completed", bridged=True),
        "dial: busy": ev.DialEnded(at=at, attempt=1, status="busy", bridged=False),
        "dial: caller gone": ev.DialEnded(at=at, attempt=1, status="no-answer", bridged=False, caller_gone=True),
        "failsafe answers": ev.PersonAnswered(at=at, attempt=0),
        "failsafe's message": ev.MessageRecorded(at=at, url="https://api.example/RE1", seconds=9, failsafe=True),
        "message": ev.MessageRecorded(at=at, url="https://api.example/RE1", seconds=9),
        "message written down": ev.MessageTranscribed(at=at, transcription=Transcription.WRITTEN, text="Hello."),
        "call ended": ev.CallEnded(at=at),
        "Twilio was asked": Reconciled(at=at, ended_at=at),
        "person stays": PersonStays(at=at, attempt=1),
        "call lives": ev.CallLives(at=at),
        "goodbye's time is up": ev.TimerFired(at=at, timer=ef.Timer.GOODBYE, number=1),
        "farewell's time is up": ev.TimerFired(at=at, timer=ef.Timer.FAREWELL, number=1),
        "renewal's time is up": ev.TimerFired(at=at, timer=ef.Timer.RENEWAL, number=1),
        "limit's time is up": ev.TimerFired(at=at, timer=ef.Timer.LIMIT, number=1),
        "redirect's time is up": ev.TimerFired(at=at, timer=ef.Timer.REDIRECT, number=1),
        "hang-up's time is up": ev.TimerFired(at=at, timer=ef.Timer.HANG_UP, number=1),
        "person's time is up": ev.TimerFired(at=at, timer=ef.Timer.PERSON, number=1),
        "check is due": ev.TimerFired(at=at, timer=ef.Timer.CHECK, number=1),
    }
