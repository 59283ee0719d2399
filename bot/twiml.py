"""Effect → TwiML. The only file that knows verbs.

Everything is built with the twilio library's builders. Text that came from a person or a model is hostile: it is
stripped to the characters that XML 1.0 allows (the builders escape `<`, `&` and quotes but let control characters
through, and Twilio then refuses the document, error 12100) and its length is capped.
"""

# The twilio library has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from twilio.twiml.voice_response import Connect, Dial, Gather, Stream, VoiceResponse

from bot.call import Attempt, Call
from bot.events import ConnectBot, DialPerson, Document, HangUp, TakeMessage
from bot.routing import Mode, Policy, Target, resolve

OVERRIDES = "#ct=1000&rt=5000&tt=14000&rc=3&rp=5xx,ct,rt"
"""How Twilio shall ask us (Twilio: Webhooks, connection overrides): one second to connect, five to answer, and three
more tries where that failed or something between us answered with 5xx; together less than its own 15 seconds. Not 4xx:
those are our own words, and the same again."""

INLINE_LIMIT = 4000
"""The longest document that a redirect may carry, in characters (Twilio: Update a Call, `Twiml`; error 32018)."""

PARAMETER_LIMIT = 490
"""The longest value of a stream's parameter, in characters: with its name it may have 500 (Twilio: `<Parameter>`)."""

SAY_LIMIT = 1000
"""The longest text we let Twilio speak, in characters."""

_NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Our own addresses as Twilio sees them, all built from `PUBLIC_URL`."""

    public_url: str
    """Scheme and host, without a trailing slash, e.g. `https://bot.example.com`."""

    state: str = ""
    """What the callbacks of one document carry of their call; see `bot.carried`."""

    @property
    def media(self) -> str:
        """The media WebSocket: `wss` for https, `ws` for http. No query: Twilio would remove it."""
        return re.sub(r"^http", "ws", self.public_url) + "/twilio/media"

    def callback(self, name: str, attempt: int) -> str:
        """The webhook for one fact about an attempt. Twilio signs the whole URL, so what it carries can be trusted."""
        return self._url(f"handoff/{name}", attempt=attempt)

    def recorded(self, *, failsafe: bool = False) -> str:
        """The webhook for a message on the recorder."""
        return self._url("voicemail", **({"failsafe": 1} if failsafe else {}))

    def rescue(self, leg: int) -> str:
        """Where Twilio asks what to do with a caller whose stream is gone."""
        return self._url("rescue", leg=leg)

    def _url(self, path: str, **query: int) -> str:
        carried = {"state": self.state} if self.state else {}
        asked = urlencode({**query, **carried})
        return f"{self.public_url}/twilio/{path}{'?' if asked else ''}{asked}{OVERRIDES}"


def speakable(text: str, limit: int = SAY_LIMIT) -> str:
    """The text with every character that XML 1.0 forbids removed and its length capped."""
    clean = " ".join(_NOT_XML.sub(" ", text).split())
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


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
            return _connect_bot(leg, policy, at, token)
        case DialPerson(attempt=n):
            return _dial(n, call.attempts[n - 1], policy, at)
        case TakeMessage():
            return _take_message(policy, at)
        case HangUp():
            return hang_up()


def _connect_bot(leg: int, policy: Policy, at: Addresses, token: str) -> str:
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
    connect = Connect()
    connect.append(stream)
    response.append(connect)
    if policy.rescue:
        response.redirect(at.rescue(leg), method="POST")
        return str(response)
    target = policy.targets[policy.failsafe]
    dial = Dial(
        timeout=max(number.ring_seconds for number in target.numbers),
        time_limit=policy.dial_seconds,
        **_caller_id(target),
    )
    for number in target.numbers:  # all at once: there is nobody of ours to try them one by one
        dial.number(number.e164, **_progress(at, 0))
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
        timeout=max(number.ring_seconds for number in target.numbers),
        time_limit=policy.dial_seconds,
        **_caller_id(target),
    )
    for number in target.numbers:
        dial.number(number.e164)
    response = VoiceResponse()
    response.append(dial)
    _record(response, policy, after_message)
    return str(response)


def _dial(n: int, attempt: Attempt, policy: Policy, at: Addresses) -> str:
    target = resolve(policy, attempt.target)
    ring_seconds = next((number.ring_seconds for number in target.numbers if number.e164 == attempt.number), 30)
    dial = Dial(
        action=at.callback("dialed", n),
        timeout=ring_seconds,
        time_limit=policy.dial_seconds,
        **_caller_id(target),
    )
    whisper = {"url": at.callback("whisper", n)} if target.mode is Mode.SCREENED else {}
    dial.number(attempt.number, **whisper, **_progress(at, n))
    response = VoiceResponse()
    response.append(dial)
    return str(response)


def _caller_id(target: Target) -> dict[str, str]:
    return {"caller_id": target.caller_id} if target.caller_id else {}


def _progress(at: Addresses, n: int) -> dict[str, str]:
    return {
        "status_callback": at.callback("progress", n),
        "status_callback_event": "initiated ringing answered completed",
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


def hang_up() -> str:
    """The call ends."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def whisper(text: str, n: int, at: Addresses) -> str:
    """What the person hears before the caller is connected: who and why, and which key takes the call.

    When this document ends without `<Hangup>`, Twilio connects the two, whether a key was pressed or not (Twilio: TwiML
    `<Number url>`); so it ends with one, and only the answer to the key lets it end without.

    Args:
        text: Who is calling and why.
        n: The attempt, from 1.
        at: Our own addresses.
    """
    response = VoiceResponse()
    gather = Gather(num_digits=1, timeout=8, action=at.callback("key", n))
    gather.say(speakable(text))
    gather.say("Press 1 to take the call, 2 to decline.")
    response.append(gather)
    response.hangup()
    return str(response)


def connect_person() -> str:
    """The answer to the key that takes the call: the whisper ends, and Twilio connects the two."""
    return str(VoiceResponse())


def decline_person() -> str:
    """The answer to any other key."""
    return hang_up()
