"""What is told of a call: to the bot when the caller comes back, to the person who is asked to take it. Pure."""

from bot.call import Attempt, Call, Outcome, Rung
from bot.routing import Policy, resolve

_SPOKEN = {
    Outcome.DECLINED: "could not take the call",
    Outcome.BUSY: "was busy",
    Outcome.NO_ANSWER: "did not answer",
    Outcome.FAILED: "could not be reached",
    Outcome.SUPERSEDED: "could not be reached",
}

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
    return list(call.attempts[len(call.attempts) - call.tried :]) if call.tried else []


def for_returning_bot(call: Call, policy: Policy) -> str | None:
    """The instruction with which the bot takes the caller back; None on the first leg of a call."""
    if call.leg == 1:
        return None
    if call.falls and call.falls[-1].rung is Rung.RESCUE:
        return FOR_RESCUED_BOT
    if not call.handoffs:
        return None
    handoff = call.handoffs[-1]
    what = resolve(policy, handoff.target).key.replace("_", " ") if handoff.target else "a person"
    tries = [
        f"{n}. person {_SPOKEN.get(attempt.outcome, 'could not be reached') if attempt.outcome else 'left'}"
        for n, attempt in enumerate(tried_in_vain(call), 1)
    ]
    return (
        f"The caller is back with you: you tried to put them through to {what} and nobody took the call "
        f"({'; '.join(tries)}). The reason they wanted a person: {handoff.reason or 'not given'}. "
        "Do not greet them as if the call were new. Apologise, say in one sentence what happened, and "
        "offer three things: to help them yourself, to try once more (hand_off), or to take a message "
        "(take_message)."
    )


def for_person(call: Call) -> str:
    """What the person hears in their ear before they take the call: who is calling and why."""
    handoff = call.handoffs[-1]
    parts = [f"A caller from {call.caller} would like to speak to you."]
    if handoff.reason:
        parts.append(f"Reason: {handoff.reason}.")
    if handoff.summary:
        parts.append(handoff.summary)
    return " ".join(parts)
