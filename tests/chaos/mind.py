"""What the model and the caller of one call share: what is wanted, what was asked, what was answered."""

import asyncio
from collections.abc import Sequence

from chaos.plan import Moment, Story
from sandbox.brain import Call, Fault, Reply, Say, Turn, quoted
from sandbox.caller import CallerLeg
from sandbox.model import RealtimeModel
from sandbox.view import SessionView

QUESTIONS = ("When are you open?", "Do you have boots in nine?", "Can I pay by card?")


class Mind:
    """A call's conversation, from the model's side: a `Brain` that answers what it hears, and breaks once."""

    def __init__(self, story: Story, model: RealtimeModel) -> None:
        """Begin with nothing said.

        Args:
            story: What the caller wants, and when the model breaks.
            model: Whose sessions break.
        """
        self.call_sid: str | None = None
        self.call: CallerLeg | None = None
        self.broken = False
        """Whether the model has broken, as the story says."""

        self.agreed = False
        """Whether the model has said that it puts the caller through, or that it hangs up."""

        self.seeking = False
        """Whether the model has asked for somebody who is called while it has the caller."""

        self._seeks_in: SessionView | None = None
        """The session that has asked. Another one has lost them with the server that had."""

        self._nobodies = 0
        """How often its session says that nobody takes the call."""

        self._in_vain = 0
        """How often the caller has been told so. After the second time they would rather leave a message."""

        self.open_questions = list(QUESTIONS[: story.questions])
        self._story = story
        self._model = model
        self._spoken = ""
        self._greeted = False
        self._later: set[asyncio.TimerHandle] = set()

    # --- what the caller says -----------------------------------------------------------------------

    def next_line(self) -> str:
        """What the caller says in their turn: the next question, or what they called for."""
        self.agreed = False
        self._spoken = self.open_questions[0] if self.open_questions else self._last_line
        return self._spoken

    def caller_speaks(self) -> None:
        """The caller has begun to say it."""
        self.moment_comes("user turn", after=0.3)

    @property
    def _last_line(self) -> str:
        match self._story.goal:
            case "front_desk":
                return "A person, please."
            case "billing":
                return "Billing, please."
            case "manager":
                if self.seeking:
                    return "Any news?"
                return "The manager, please." if self._in_vain < 2 else "A message, then."
            case _:
                return "That is all, bye."

    # --- what breaks --------------------------------------------------------------------------------

    def moment_comes(self, moment: Moment, after: float = 0.0) -> None:
        """Break the model's session, if this is the story's moment.

        Args:
            moment: What is going on.
            after: How much later. Seconds.
        """
        fault = self._story.model
        if fault is not None and fault.moment == moment and not self.broken:
            self.broken = True
            asyncio.get_running_loop().call_later(after, self._break)

    def _break(self) -> None:
        if self.call is not None and self.call.hum is not None and self._story.model is not None:
            self._model.break_line(self.call.hum, self._story.model.kind)

    def _fault(self, moment: Moment) -> Sequence[Fault]:
        """The fault that stands in a reply of this moment."""
        fault = self._story.model
        if fault is None or fault.moment != moment or self.broken:
            return []
        self.broken = True
        return [Fault(fault.kind)]

    # --- the model ----------------------------------------------------------------------------------

    def transcript(self) -> str:
        """See `Brain`."""
        return self._spoken

    async def reply(self, turn: Turn) -> Reply:
        """See `Brain`."""
        if turn.why in ("prompt", "greeting") and self._greeted:
            if "Say exactly" in turn.prompt:
                return [Say(quoted(turn.prompt) or "Putting you through.")]
            self.agreed = self.seeking = False  # the caller is back, or the session is a new one: it is their turn
            self._in_vain += self._told_of_nobody(turn)
            return [Say("Sorry about that.")]
        match turn.why:
            case "greeting" | "prompt":
                self._greeted = True
                return [Say("Northwind, hello!"), *self._fault("greeting")]
            case "speech":
                return self._answer(turn)
            case "tool_result":
                return self._tell_what_was_found()

    def _answer(self, turn: Turn) -> Reply:
        said = turn.transcript
        if said in self.open_questions:
            if self._story.looks_up and said == QUESTIONS[0]:
                return [Say("Let me see."), Call("opening_hours", {"day": "monday"}), *self._fault("tool call")]
            if fault := self._fault("reply"):
                return [Say("Well, I"), *fault, Say("think so.")]
            self.open_questions.remove(said)
            return [Say("Yes, of course.")]
        if said in QUESTIONS:
            return [Say("As I said, yes.")]  # asked again: the answer came late
        if said == "Any news?":
            if self._told_of_nobody(turn) or turn.session is not self._seeks_in:  # while the caller spoke
                self.seeking = False
                self._in_vain += 1
                return [Say("Nobody is free, sorry.")]
            return [Say("I am still looking.")]
        goodbye = self._fault("goodbye")
        if said == "The manager, please.":
            self.seeking, self._seeks_in = True, turn.session
            return [Say("I am looking for one."), *goodbye, Call("hand_off", {"target": "manager", "reason": "asked"})]
        self.agreed = True
        if said == "A message, then.":
            return [Say("Speak after the tone."), *goodbye, Call("take_message", {"reason": "nobody was free"})]
        if said not in ("A person, please.", "Billing, please."):
            return [Say("Thank you, bye!"), *goodbye, Call("end_call", {})]
        target = "billing" if said.startswith("Billing") else "front_desk"
        wants = {"target": target, "reason": "asked", "summary": "The caller asked for a person."}
        return [Say("Putting you through."), *goodbye, Call("hand_off", wants)]

    def _told_of_nobody(self, turn: Turn) -> bool:
        """Whether the model has been told anew that nobody takes the call."""
        before, self._nobodies = self._nobodies, turn.session.text.count("Nobody takes the call")
        return self._nobodies > before

    def _tell_what_was_found(self) -> Reply:
        fault = self._fault("reply")
        if fault:
            return [Say("We are"), *fault]
        if self.open_questions:
            self.open_questions.pop(0)
        return [Say("From nine to five.")]
