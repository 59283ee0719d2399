"""What is told of a call: to the bot when the caller comes back, to the person who is asked to take it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.call import Attempt, Call, Outcome, Phase
from bot.falls import Rung
from bot.phrases import LANGUAGES
from bot.queue_rules import Leave
from bot.routing import Policy, Target, resolve

_SPOKEN = {
    Outcome.DECLINED: "could not take the call",
    Outcome.BUSY: "was busy",
    Outcome.NO_ANSWER: "did not answer",
    Outcome.MACHINE: "has a mailbox on",
    Outcome.LEFT: "took the call and hung up again",
    Outcome.GAVE_UP: "was not free before the caller wanted to wait in the queue no longer",
}
_UNREACHED = "could not be reached"

TEXTED_REASON = 160
"""Characters of the reason in a text message."""

FOR_RENEWED_BOT = (
    'The line to you was cut for a moment; the caller is still there and has just heard "One moment, please". Go on '
    "where the conversation was: answer what they said last, or finish what you were saying; if you did not catch what "
    "they said, ask them to say it again. Do not greet them and do not start over."
)
"""The instruction with which a new session of the model goes on."""


FOR_RESCUED_BOT = (
    "The line was cut for a moment and the caller is back with you. Say sorry for that in a few words and go on where "
    "the conversation was: answer what they said last, or say again what you were saying. If nothing had been said "
    "yet, ask how you can help. Do not greet them as if the call were new."
)
"""The instruction with which a bot takes back a caller whose stream was lost."""

CALLING_WAS_CUT = (
    "The person who was being called for them is not being called any more: if they still want one, hand off again."
)
"""What is added where people were being called just then."""


TALKED_WITH_COLLEAGUE = "A colleague of yours has talked with them on this line; you did not hear what was said."
"""What is added where a supervisor had the bot's place on the stream that was lost."""


def for_renewed_bot(being_said: str) -> str:
    """The instruction with which a new session of the model goes on, while the caller still hears the old one."""
    return f'{FOR_RENEWED_BOT} They are still hearing you say: "{being_said}"' if being_said else FOR_RENEWED_BOT


def for_changed_bot(language: str | None) -> str:
    """The instruction with which the bot goes on after a change of its language, its voice or its settings."""
    spoken = f" in the language with the ISO 639-1 code `{language}`" if language else ""
    return f"It is changed. Go on with the conversation now{spoken}: answer what the caller said last."


def hint(text: str) -> str:
    """What the bot is told when somebody who follows the call gives it a hint."""
    quoted = text.replace('"', "'")
    return f'A colleague who follows this call tells you, and the caller does not hear it: "{quoted}" Act on it now.'


def tried_in_vain(call: Call) -> list[Attempt]:
    """The attempts of the latest hand-off, in order."""
    return [attempt for attempt in call.attempts if attempt.handoff == len(call.handoffs) > 0]


def tried(attempt: Attempt) -> str:
    """What the bot is told when one of the people who were called does not take the call. It speaks of a message."""
    outcome = _SPOKEN.get(attempt.outcome, _UNREACHED) if attempt.outcome else _UNREACHED
    reason = f' They gave a reason: "{attempt.why}".' if attempt.why else ""
    message = f' They ask you to tell the caller: "{attempt.message}". Do so now.' if attempt.message else ""
    return f"Somebody at {attempt.target.replace('_', ' ')} {outcome}.{reason}{message} Stay with the caller."


def _tries(call: Call) -> str:
    return "; ".join(
        f"{n}. person {_SPOKEN.get(attempt.outcome, _UNREACHED) if attempt.outcome else 'left'}"
        for n, attempt in enumerate(tried_in_vain(call), 1)
    )


def nobody_came(call: Call, policy: Policy) -> str:
    """The instruction for a bot that has kept the caller while people were called, and none of them takes the call."""
    return (
        f"Nobody takes the call ({_tries(call)}). The caller is still with you and has not been moved. Say so in one "
        f"sentence, and offer {_what_is_left(policy)}."
    )


def _what_is_left(policy: Policy) -> str:
    """What the bot offers when nobody takes the call."""
    others = "to help them yourself, to try once more (hand_off)"
    if policy.callback is not None:
        return (
            f"four things: {others}, to have them called back (schedule_callback), or to take a message (take_message)"
        )
    return f"three things: {others}, or to take a message (take_message)"


PERSON_LEFT = (
    "The person who had taken the call has hung up, so the caller stays with you for now; somebody else is being "
    "called. Say sorry in a few words, and go on helping."
)
"""The instruction for a bot that was saying goodbye when the person who had taken the call hung up."""


def being_called(target: Target) -> str:
    """The instruction for a bot whose caller asked for a person by other means than its own tool."""
    return (
        f"A person at {target.key.replace('_', ' ')} is being called for the caller, who stays with you until somebody "
        "takes the call. Say that in one sentence, and go on helping."
    )


def closed(target: Target, at: float) -> str:
    """The instruction for a bot that wants to put the caller through to people who are not there at this hour."""
    opens = target.hours.next_opening(at) if target.hours else None
    when = f" They are there again {opens}." if opens else ""
    say = f' Say exactly this to the caller: "{target.closed_line}"' if target.closed_line else " Tell the caller so."
    return (
        f"The caller has not been put through: nobody is at {target.key.replace('_', ' ')} at this hour.{when}{say} "
        "Then offer to help them yourself, or to take a message (take_message)."
    )


def _is_latest(call: Call, at: float | None) -> bool:
    """Whether the line was not lost since then."""
    return not call.falls or call.falls[-1].at < (at or 0.0)


def _sent_back(call: Call) -> str:
    who = call.attempts[-1].target.replace("_", " ")
    return (
        f"The caller is back with you: the person at {who} has talked with them and sent them back to you. You did not "
        "hear what was said between them. Do not greet them as if the call were new. Say in one sentence that you are "
        "there again, and ask what you can still do for them."
    )


def _joined(call: Call, policy: Policy) -> str:
    """What a bot is told of the supervisor who has had its place."""
    known = (
        "A colleague of yours has talked with the caller on this line and has left it to you again. You did not hear "
        "what was said between them. Do not greet the caller as if the call were new. "
    )
    if call.phase is Phase.SEEKING:
        return known + being_called(resolve(policy, call.handoffs[-1].target or ""))
    return f"{known}Say in one sentence that you are there again, and ask what you can still do for them."


def _gave_up(call: Call, policy: Policy) -> str:
    """The instruction for a bot that gets a caller who has waited in a queue and does not want to any longer."""
    target = resolve(policy, call.attempts[-1].target)
    known = (
        f"The caller is back with you: they waited in the queue of {target.key.replace('_', ' ')} and pressed the key "
        f"to leave it. The reason they wanted a person: {call.handoffs[-1].reason or 'not given'}. Do not greet them "
        "as if the call were new. "
    )
    if target.queue is not None and target.queue.leave is Leave.CALLBACK:
        return f"{known}They want to be called back: arrange that now (schedule_callback)."
    return f"{known}Ask how you can help instead, and offer {_what_is_left(policy)}."


def for_returning_bot(call: Call, policy: Policy) -> str | None:
    """The instruction with which the bot takes the caller back; None on the first leg of a call."""
    if call.joins and call.joins[-1].leg == call.leg:
        return _joined(call, policy)
    if call.leg == 1:
        return None
    if call.attempts and call.attempts[-1].sent_back and _is_latest(call, call.attempts[-1].ended_at):
        return _sent_back(call)
    if call.falls and call.falls[-1].rung is Rung.RESCUE:
        cut = any(a.attended and a.outcome is Outcome.SUPERSEDED for a in tried_in_vain(call))
        joined = any(join.leg == call.leg - 1 for join in call.joins)
        known = [CALLING_WAS_CUT] * cut + [TALKED_WITH_COLLEAGUE] * joined
        return " ".join((FOR_RESCUED_BOT, *known))
    if not call.handoffs:
        return None
    if call.attempts and call.attempts[-1].outcome is Outcome.GAVE_UP:
        return _gave_up(call, policy)
    handoff = call.handoffs[-1]
    what = resolve(policy, handoff.target).key.replace("_", " ") if handoff.target else "a person"
    return (
        f"The caller is back with you: you tried to put them through to {what} and nobody took the call "
        f"({_tries(call)}). The reason they wanted a person: {handoff.reason or 'not given'}. "
        "Do not greet them as if the call were new. Apologise, say in one sentence what happened, and "
        f"offer {_what_is_left(policy)}."
    )


def for_calling_bot(call: Call, greeting: str) -> str:
    """The instruction with which the bot begins a call of its own."""
    purpose = f" What you call them about: {call.purpose}" if call.purpose else ""
    words = f'Begin by saying exactly: "{greeting}" Then say' if greeting else "Greet them, and say"
    return f"You have called somebody, and they have just picked up.{purpose} {words} who calls and why."


def text_message(call: Call, target: Target, page: str) -> str:
    """What a person is sent whose telephone rings, in their language."""
    words = LANGUAGES[target.language]
    handoff = call.handoffs[-1]
    reason = f" {words.reason} {handoff.reason[:TEXTED_REASON]}." if handoff.reason else ""
    return f"{words.caller.format(number=call.caller)}{reason} {page}"


TOLD_OF_CONVERSATION = 6000
"""Characters of the conversation so far that a bot knows which talks with a person about it: the latest."""


def for_consulting_bot(call: Call, target: Target, messages: Sequence[Any]) -> str:
    """The instruction for the bot that talks with a person who has picked up, while the caller is on its other line."""
    names = {"user": "caller", "assistant": "you"}
    said = [
        f"{names[message['role']]}: {message['content']}"
        for message in messages
        if isinstance(message, Mapping) and message.get("role") in names and isinstance(message.get("content"), str)
    ]
    so_far = "\n".join(said)[-TOLD_OF_CONVERSATION:] or "(nothing was said yet)"
    words = LANGUAGES[target.language]
    return (
        f"You are on another line now. The caller is still with you on the first one and does not hear this. Here you "
        f"talk with the person at {target.key.replace('_', ' ')} who has picked up their telephone, in {words.name}. "
        f'Begin by saying exactly: "{for_person(call, target)} {words.keys}" Then answer what they ask about the '
        "caller, from the conversation below and nothing else, in short sentences. When they take the call, say one "
        "short sentence and call connect_caller. When they do not, ask why if they have not said so, and call decline; "
        "or take_message, when the caller is to be told something. You have no other tools here. Decide nothing for "
        "them.\n\n"
        f"The conversation with the caller so far:\n{so_far}"
    )


def introduction(call: Call, target: Target, n: int) -> str:
    """What the caller and the person of the `n`-th attempt hear when they are together: the bot's own words, if any."""
    words = LANGUAGES[target.language]
    handoff = call.handoffs[call.attempts[n - 1].handoff - 1]
    if handoff.introduction.strip():
        return handoff.introduction
    return f"{words.together} {words.reason} {handoff.reason}." if handoff.reason else words.together


def for_person(call: Call, target: Target) -> str:
    """What the person hears in their ear before they take the call: who is calling and why, in their language."""
    words = LANGUAGES[target.language]
    handoff = call.handoffs[-1]
    parts = [words.caller.format(number=call.caller)]
    if handoff.reason:
        parts.append(f"{words.reason} {handoff.reason}.")
    if handoff.summary:
        parts.append(handoff.summary)
    return " ".join(parts)
