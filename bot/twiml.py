"""Effect → TwiML. With `bot/queue_twiml.py`, the only file that knows verbs.

Everything is built with the twilio library's builders. Text that came from a person or a model is hostile: it is
stripped to the characters that XML 1.0 allows (the builders escape `<`, `&` and quotes but let control characters
through, and Twilio then refuses the document, error 12100) and its length is capped.
"""

# The twilio library has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from dataclasses import replace

from twilio.twiml.voice_response import Connect, Dial, Gather, Stream, VoiceResponse

from bot.addresses import Addresses
from bot.call import Attempt, By, Call, Direction, found_for
from bot.effects import (
    ConnectBot,
    DialPerson,
    Document,
    Enqueue,
    HangUp,
    HoldCaller,
    LeaveMessage,
    MeetPerson,
    TakeMessage,
)
from bot.phrases import LANGUAGES
from bot.queue_twiml import enqueue
from bot.routing import (
    OURS,
    UNKNOWN_RING_SECONDS,
    Endpoint,
    Mode,
    Policy,
    Target,
    failsafe_seconds,
    resolve,
    shown_number,
)
from bot.sip import sip_uri
from bot.xml_text import INLINE_LIMIT, speakable

PARAMETER_LIMIT = 490
"""The longest value of a stream's parameter, in characters: with its name it may have 500 (Twilio: `<Parameter>`)."""

MACHINES = ("machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax")
"""What `AnsweredBy` is of what is not a person (Twilio: Answering Machine Detection)."""


def document(order: Document, call: Call, policy: Policy, at: Addresses, *, token: str = "") -> str:
    """The TwiML for what Twilio shall do with the caller next.

    Args:
        order: A document effect of this call.
        call: The call after the step that gave the order.
        policy: The operator's rules.
        at: Our own addresses.
        token: For `ConnectBot`: the one-time token that opens the media stream of this leg.
    """
    match order:
        case ConnectBot(leg):
            return _connect_bot(leg, call, policy, at, token)
        case DialPerson(attempt=n):
            return _dial(n, call.attempts[n - 1], call, policy, at)
        case Enqueue(attempt=n):
            return enqueue(n, call, policy, at)
        case MeetPerson(attempt=n):
            return _meet(n, call, policy, at)
        case HoldCaller(attempt=n, held=held):
            return _hold(n, held, at)
        case TakeMessage():
            return _take_message(policy, at)
        case LeaveMessage():
            return _leave_message(policy)
        case HangUp():
            return hang_up()


def _connect_bot(leg: int, call: Call, policy: Policy, at: Addresses, token: str) -> str:
    """Open the stream; and what Twilio does when our end of it vanishes.

    `<Connect>` has no `action`: so Twilio goes on with the next verb when the stream ends from our side, whatever the
    reason (Twilio: TwiML `<Connect>`). That is a question to any of our processes, or, where there is only one, a
    person, and then the recorder, for which no server of ours is needed. The recorder also gets a caller who stays on
    the line when the person has hung up: a `<Dial>` without `action` does not tell the two apart.
    """
    response = VoiceResponse()
    stream = Stream(url=at.media)
    stream.parameter(name="token", value=token)
    if 0 < len(at.state) <= PARAMETER_LIMIT:
        stream.parameter(name="state", value=at.state)
    if leg == 1 and policy.listen_in and policy.listen_in_notice:
        response.say(speakable(policy.listen_in_notice))
    if leg == 1:
        _announce(response, policy)
    connect = Connect()
    connect.append(stream)
    response.append(connect)
    if policy.rescue:
        response.redirect(at.rescue(leg), method="POST")
        return str(response)
    target = policy.targets[policy.failsafe]
    dial = Dial(
        timeout=max(endpoint.ring_seconds for endpoint in target.endpoints),
        time_limit=policy.dial_seconds,
        **_caller_id(target, call),
        **_recorded(0, call, policy, at),
    )
    each = replace(at, lean=len(target.endpoints) > 1)
    for endpoint in target.endpoints:  # all at once: there is nobody of ours to try them one by one
        _ring(dial, endpoint, endpoint.address, _progress(each, 0))
    response.append(dial)
    _record(response, policy, at.recorded(failsafe=True))
    return str(response)


def hosted_fallback(policy: Policy, after_message: str) -> str:
    """The document for a number's fallback address, which Twilio itself keeps: nothing of ours answers.

    Args:
        policy: The operator's rules.
        after_message: The address of a document that ends the call, kept at Twilio as well: `<Record>` needs to be told
            where to go on, else it asks for its own document again and again (Twilio: TwiML `<Record>`).
    """
    target = policy.targets[policy.failsafe]
    dial = Dial(
        timeout=failsafe_seconds(policy),
        time_limit=policy.dial_seconds,
        **({"caller_id": target.caller_id} if target.caller_id not in (None, OURS) else {}),
    )
    for endpoint in target.endpoints:
        _ring(dial, endpoint, endpoint.address, {})
    response = VoiceResponse()
    response.append(dial)
    _record(response, policy, after_message)
    return str(response)


def _dial(n: int, attempt: Attempt, call: Call, policy: Policy, at: Addresses) -> str:
    target = resolve(policy, attempt.target, found_for(call, attempt))
    addresses = attempt.number.split(",")
    people = [endpoint for endpoint in target.endpoints if endpoint.address in addresses]
    people = people or [Endpoint(address, UNKNOWN_RING_SECONDS) for address in addresses]
    text = _dial_people(n, people, target, call, policy, at, headers=True)
    if len(text) > INLINE_LIMIT:  # many people, with long addresses
        text = _dial_people(n, people, target, call, policy, at, headers=False)
    return text


def _dial_people(
    n: int, people: list[Endpoint], target: Target, call: Call, policy: Policy, at: Addresses, *, headers: bool
) -> str:
    each = replace(at, lean=len(people) > 1)
    dial = Dial(
        action=at.callback("dialed", n),
        timeout=max(person.ring_seconds for person in people),
        time_limit=policy.dial_seconds,
        **_caller_id(target, call),
        **(_recorded(n, call, policy, each) if target.mode is Mode.DIAL else {}),
    )
    options = _progress(each, n)
    if target.mode is not Mode.DIAL:
        options = {} if each.lean else options  # the whisper tells who has picked up
        options["url"] = each.callback("whisper", n)
    if target.machine_detection:
        options["machine_detection"] = "Enable"
    for person in people:
        _ring(dial, person, sip_uri(person, call) if person.is_sip and headers else person.address, options)
    response = VoiceResponse()
    never_with_bot = n == 1 and call.handoffs and call.handoffs[0].by is By.CLOSED and call.rescues == 0
    if never_with_bot and policy.recording.person:
        _announce(response, policy)  # else the bot's document has said it
    response.append(dial)
    return str(response)


def _ring(dial: Dial, person: Endpoint, address: str, options: dict[str, str]) -> None:
    """One telephone of a `<Dial>`."""
    if person.is_sip:
        dial.sip(address, **options)
    elif person.is_client:  # no mailbox answers there
        known = {name: value for name, value in options.items() if name != "machine_detection"}
        dial.client(address.removeprefix("client:"), **known)
    else:
        digits = {"send_digits": person.digits} if person.digits else {}
        dial.number(address, **digits, **options)


def _meet(n: int, call: Call, policy: Policy, at: Addresses) -> str:
    """The caller's way into the conference. When either of the two leaves, it is over."""
    response = VoiceResponse()
    dial = Dial(action=at.callback("dialed", n), time_limit=policy.dial_seconds)
    _conference(dial, n, call, policy, at)
    response.append(dial)
    return str(response)


def _hold(n: int, held: int, at: Addresses) -> str:
    response = VoiceResponse()
    response.pause(length=1)
    response.redirect(at.callback("dialed", n, held=held), method="POST")
    return str(response)


def _announce(response: VoiceResponse, policy: Policy) -> None:
    rules = policy.recording
    if (rules.bot or rules.person) and rules.announcement:
        response.say(speakable(rules.announcement), language=LANGUAGES[rules.language].voice)


def _recorded(n: int, call: Call, policy: Policy, at: Addresses) -> dict[str, str]:
    """How a `<Dial>` records the two, from the moment that somebody picks up, each on a channel of their own.

    Whether Twilio leaves out of it what a person hears before the two are connected is not documented: a `<Dial>` with
    a whisper is recorded by an order (`bot/taping.py`).
    """
    if not policy.recording.person:
        return {}
    return {
        "record": "record-from-answer-dual",
        "trim": "do-not-trim",
        "recording_status_callback": at.recording("person", call.sid, attempt=n),
    }


def _conference(dial: Dial, n: int, call: Call, policy: Policy, at: Addresses) -> None:
    introduces = resolve(policy, call.attempts[n - 1].target).mode is Mode.INTRODUCE
    # The account's conferences share their names: the CallSid is nobody else's. The callback of whoever comes first
    # counts for both, so it is the same.
    dial.conference(
        call.sid,
        start_conference_on_enter=True,
        end_conference_on_exit=True,
        wait_url="",
        beep="false",
        status_callback=at.person("conference", n, call.sid),
        status_callback_event="start end announcement" if introduces else "start end",
        **(_recorded(n, call, policy, at) | {"record": "record-from-start"} if policy.recording.person else {}),
    )


def _caller_id(target: Target, call: Call) -> dict[str, str]:
    # Whoever we have called is no caller whose number may be shown: Twilio would show it as if they called.
    caller = call.caller if call.direction is Direction.INBOUND else ""
    number = shown_number(target, caller, call.called)
    return {"caller_id": number} if number else {}


def _progress(at: Addresses, n: int) -> dict[str, str]:
    return {
        "status_callback": at.callback("progress", n),
        "status_callback_event": "answered" if at.lean and n else "initiated ringing answered completed",
    }


def _take_message(policy: Policy, at: Addresses) -> str:
    response = VoiceResponse()
    _record(response, policy, at.recorded())
    return str(response)


def _record(response: VoiceResponse, policy: Policy, action: str) -> None:
    response.say(speakable(policy.voicemail.greeting))
    # Without an action, <Record> requests the current document again and again (Twilio: TwiML `<Record>`).
    response.record(action=action, max_length=policy.voicemail.max_seconds, play_beep=True)
    response.hangup()


def _leave_message(policy: Policy) -> str:
    response = VoiceResponse()
    if policy.outbound is not None and policy.outbound.message:
        response.say(speakable(policy.outbound.message))
    response.hangup()
    return str(response)


def hang_up() -> str:
    """The call ends."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def whisper(text: str, language: str, action: str, *, again: bool = False) -> str:
    """What the person hears before they have the caller: who and why, and which key takes the call.

    In a `<Dial>`, when this document ends without `<Hangup>`, Twilio connects the two, whether a key was pressed or not
    (Twilio: TwiML `<Number url>`); so it ends with one, and only the answer to the key lets it end without.

    Args:
        text: Who is calling and why.
        language: The person's, one of `bot.phrases.LANGUAGES`.
        action: Where to the key is told.
        again: Whether that is asked every two seconds although no key was pressed: there may be a button as well.
    """
    words = LANGUAGES[language]
    response = VoiceResponse()
    gather = _look(action) if again else Gather(num_digits=1, timeout=8, action=action)
    gather.say(speakable(text), language=words.voice)
    gather.say(words.keys, language=words.voice)
    response.append(gather)
    response.hangup()
    return str(response)


def _look(action: str) -> Gather:
    return Gather(num_digits=1, timeout=2, action=action, action_on_empty_result=True)


def wait_for_key(action: str) -> str:
    """The person has heard all and not decided yet: two more seconds, in silence."""
    response = VoiceResponse()
    response.append(_look(action))
    response.hangup()
    return str(response)


def consult(n: int, call_sid: str, token: str, at: Addresses) -> str:
    """For a person who has picked up: they talk with the bot over a stream of their own.

    When it ends from our side, or does not come, Twilio goes on with the next verb (Twilio: TwiML `<Connect>`) and asks
    what they have decided.

    Args:
        n: The attempt.
        call_sid: The caller's CallSid.
        token: Opens this stream once.
        at: Our own addresses.
    """
    response = VoiceResponse()
    stream = Stream(url=at.media)
    stream.parameter(name="consultation", value=token)
    stream.parameter(name="call", value=call_sid)
    if 0 < len(at.state) <= PARAMETER_LIMIT:
        stream.parameter(name="state", value=at.state)
    connect = Connect()
    connect.append(stream)
    response.append(connect)
    response.redirect(at.person("consulted", n, call_sid), method="POST")
    return str(response)


def connect_person() -> str:
    """The answer to the key that takes the call: the whisper ends, and Twilio connects the two."""
    return str(VoiceResponse())


def decline_person() -> str:
    """The answer to any other key."""
    return hang_up()


def await_caller(n: int, call: Call, policy: Policy, language: str, at: Addresses) -> str:
    """The answer to the key by which a person who was called takes the call: they wait in the conference."""
    words = LANGUAGES[language]
    response = VoiceResponse()
    response.say(words.thanks, language=words.voice)
    _wait(response, n, call, policy, at)
    return str(response)


def return_to_caller(n: int, call: Call, policy: Policy, at: Addresses) -> str:
    """For a person who stepped out of the conference and does not send the caller back: in again."""
    response = VoiceResponse()
    _wait(response, n, call, policy, at)
    return str(response)


def _wait(response: VoiceResponse, n: int, call: Call, policy: Policy, at: Addresses) -> None:
    # A star leads out of the conference and to the action (Twilio: TwiML `<Dial hangupOnStar>`); so does its end.
    star = {"hangup_on_star": True, "action": at.person("left", n, call.sid)} if policy.back_key else {}
    dial = Dial(time_limit=policy.dial_seconds, **star)
    _conference(dial, n, call, policy, at)
    response.append(dial)
    response.hangup()


def second_key(n: int, call_sid: str, at: Addresses) -> str:
    """The answer to the first star: is there a second one?"""
    action = at.person("back", n, call_sid)
    response = VoiceResponse()
    response.append(Gather(num_digits=1, timeout=2, finish_on_key="", action=action))
    response.redirect(action, method="POST")
    return str(response)


def introduction(text: str, language: str) -> str:
    """What the caller and the person hear together, while they hear each other (Twilio: `AnnounceUrl`)."""
    response = VoiceResponse()
    response.say(speakable(text), language=LANGUAGES[language].voice)
    return str(response)


def caller_is_back(language: str) -> str:
    """For a person who has sent the caller back to the bot."""
    words = LANGUAGES[language]
    response = VoiceResponse()
    response.say(words.thanks, language=words.voice)
    response.hangup()
    return str(response)


def caller_is_gone(language: str) -> str:
    """For a person who is on the line for a caller who is not."""
    return say_and_hang_up(LANGUAGES[language].gone, language)


def say_and_hang_up(text: str, language: str) -> str:
    """The last words for a person."""
    response = VoiceResponse()
    response.say(speakable(text), language=LANGUAGES[language].voice)
    response.hangup()
    return str(response)


def call_back(number: str, ours: str, action: str, *, ring_seconds: int, dial_seconds: int, language: str) -> str:
    """The answer to the key by which a person takes a callback: the caller's telephone rings, and they are joined."""
    response = VoiceResponse()
    response.say(LANGUAGES[language].thanks, language=LANGUAGES[language].voice)
    dial = Dial(action=action, timeout=ring_seconds, time_limit=dial_seconds, caller_id=ours)
    dial.number(number)
    return str(response.append(dial))
