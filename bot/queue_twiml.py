"""The documents of a queue: of a caller who waits in it, and of a person who takes the next one. As `bot/twiml.py`."""

# The twilio library has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

import json

from twilio.twiml.voice_response import Dial, Enqueue, Gather, VoiceResponse

from bot.addresses import Addresses
from bot.call import Call
from bot.phrases import LANGUAGES
from bot.queue_rules import Queue
from bot.queue_words import announcement, queue_words, waiting
from bot.routing import Policy, Target, resolve
from bot.xml_text import INLINE_LIMIT, speakable

MUSIC_SECONDS = 300
"""The longest piece of our own music."""

TASK_SUMMARY = 1000
"""Characters of the summary that a workflow is told."""

TAKER_SECONDS = 20
"""How long a person who wants to take a caller waits for one. Seconds."""


def enqueue(n: int, call: Call, policy: Policy, at: Addresses) -> str:
    """Into the queue of an attempt's target. However the wait ends, Twilio asks what comes next."""
    target = resolve(policy, call.attempts[n - 1].target)
    queue = target.queue or Queue(name=call.attempts[n - 1].number.partition(":")[2])  # the policy is another one now
    text = _enqueue(n, call, queue, at, TASK_SUMMARY)
    longest = TASK_SUMMARY
    while len(text) > INLINE_LIMIT and longest > 0:
        longest = longest * 3 // 4
        text = _enqueue(n, call, queue, at, longest)
    return text


def _enqueue(n: int, call: Call, queue: Queue, at: Addresses, longest: int) -> str:
    options = {"action": at.waiting("left", n), "wait_url": at.waiting("wait", n)}
    response = VoiceResponse()
    if not queue.workflow:
        response.enqueue(queue.name, **options)
        return str(response)
    enqueued = Enqueue(workflow_sid=queue.workflow, **options)
    enqueued.task(json.dumps(_task(call, queue, longest), ensure_ascii=False))
    response.append(enqueued)
    return str(response)


def _task(call: Call, queue: Queue, longest: int) -> dict[str, object]:
    """What a workflow is told of a caller (TaskRouter: task attributes)."""
    handoff = call.handoffs[-1]
    return {
        **queue.attributes,
        "call_sid": call.sid,
        "caller": speakable(call.caller, 40),
        "called": speakable(call.called, 40),
        "target": handoff.target,
        "reason": speakable(handoff.reason, max(longest // 4, 1)),
        "summary": speakable(handoff.summary, max(longest, 1)),
        "wants": list(handoff.wants),
    }


def wait(
    n: int, queue: Queue, at: Addresses, *, position: int, waited: int, average: int, told: int | None = None
) -> tuple[str, int]:
    """What a caller hears who waits; at its end Twilio asks again.

    Nothing can cut a piece of music short, so ours is as long as the time until the next announcement or until the wait
    is over. A key is listened to all the while.

    Args:
        n: Which attempt it is.
        queue: Where they wait.
        at: Our own addresses.
        position: Theirs in the queue, from 1.
        waited: How long they have waited. Seconds.
        average: How long those who wait have waited, on average. Seconds.
        told: After how many seconds of waiting they were told all that last; None for never.

    Returns:
        The document, and `told` as it is now.
    """
    left = queue.max_wait - waited
    if left <= 0:
        return leave(), waited
    gather = Gather(num_digits=1, timeout=1, finish_on_key="", action=at.waiting("key", n))
    if told is None or waited - told >= queue.announce_every:
        told = waited
        words = announcement(
            queue.language,
            position=position,
            waited=waited,
            average=average,
            key=queue.leave_key,
            leave=queue.leave,
        )
        if words:
            gather.say(words, language=LANGUAGES[queue.language].voice)
    gather.play(queue.music or at.music(max(1, min(queue.announce_every, left, MUSIC_SECONDS))))
    response = VoiceResponse()
    response.append(gather)
    return str(response), told


def wait_on() -> str:
    """The answer to a key that means nothing: Twilio asks for what the caller hears next."""
    return str(VoiceResponse())


def leave() -> str:
    """The caller leaves the queue; Twilio asks what comes next."""
    response = VoiceResponse()
    response.leave()
    return str(response)


def connecting(language: str) -> str:
    """What a caller hears whom a person has taken, before they are connected."""
    response = VoiceResponse()
    response.say(queue_words(language).connecting, language=LANGUAGES[language].voice)
    return str(response)


def ask_to_take(target: Target, who: str, count: int, at: Addresses) -> str:
    """What a person hears who was called to take the next caller: a mailbox takes none."""
    words = LANGUAGES[target.language]
    response = VoiceResponse()
    gather = Gather(num_digits=1, timeout=8, action=at.taker("key", target.key, who))
    gather.say(waiting(target.language, count), language=words.voice)
    gather.say(words.keys, language=words.voice)
    response.append(gather)
    response.hangup()
    return str(response)


def take_next(target: Target, queue: Queue, who: str, policy: Policy, at: Addresses) -> str:
    """The first caller of a queue for this person (Twilio: `<Dial><Queue>`)."""
    dial = Dial(action=at.taker("served", target.key, who), timeout=TAKER_SECONDS, time_limit=policy.dial_seconds)
    dial.queue(queue.name, url=at.taker("connecting", target.key, who))
    response = VoiceResponse()
    response.append(dial)
    return str(response)


def nobody_waits(language: str) -> str:
    """For a person who wants to take a caller when there is none."""
    response = VoiceResponse()
    response.say(queue_words(language).nobody, language=LANGUAGES[language].voice)
    response.hangup()
    return str(response)


def refuse() -> str:
    """For somebody who may not take callers."""
    response = VoiceResponse()
    response.reject()
    return str(response)
