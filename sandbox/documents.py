"""TwiML as Twilio reads it: what is a document, and which verbs and attributes the sandbox knows.

Twilio ignores what it does not know, so a typo in an attribute fails silently. The sandbox tells.
"""

import xml.etree.ElementTree as ET
from dataclasses import dataclass

LONGEST = 64 * 1024
"""Bytes (Twilio: error 11750)."""

_XML_TYPES = ("text/xml", "application/xml")
"""Content types that Twilio reads as TwiML (Twilio: TwiML, Twilio's request to your application)."""


@dataclass(frozen=True, slots=True)
class _Verb:
    attributes: frozenset[str]
    children: frozenset[str] = frozenset()
    text: bool = False
    """Whether words may stand in it."""


def _verb(attributes: str = "", children: str = "", *, text: bool = False) -> _Verb:
    return _Verb(frozenset(attributes.split()), frozenset(children.split()), text)


_CALLBACKS = "url method statusCallback statusCallbackMethod statusCallbackEvent"

_RECORDING = "record trim recordingStatusCallback recordingStatusCallbackMethod recordingStatusCallbackEvent"

_VERBS = {
    "Response": _verb(children="Connect Say Play Pause Dial Enqueue Leave Gather Record Redirect Hangup Reject"),
    "Connect": _verb("action method", "Stream"),
    "Stream": _verb("url name track statusCallback statusCallbackMethod", "Parameter"),
    "Parameter": _verb("name value"),
    "Say": _verb("voice language loop", text=True),
    "Play": _verb("loop digits", text=True),
    "Pause": _verb("length"),
    "Dial": _verb(
        f"action method timeout timeLimit callerId ringTone answerOnBridge hangupOnStar {_RECORDING} recordingTrack",
        "Number Sip Client Conference Queue",
        text=True,
    ),
    "Number": _verb(f"{_CALLBACKS} sendDigits machineDetection", text=True),
    "Sip": _verb(f"{_CALLBACKS} username password machineDetection", text=True),
    "Client": _verb(_CALLBACKS, text=True),
    "Conference": _verb(
        f"startConferenceOnEnter endConferenceOnExit waitUrl waitMethod beep muted maxParticipants {_RECORDING}"
        " statusCallback statusCallbackMethod statusCallbackEvent participantLabel",
        text=True,
    ),
    "Queue": _verb("url method reservationSid postWorkActivitySid", text=True),
    "Enqueue": _verb("action method waitUrl waitUrlMethod workflowSid", "Task", text=True),
    "Task": _verb("priority timeout", text=True),
    "Leave": _verb(),
    "Gather": _verb("input numDigits timeout action method finishOnKey actionOnEmptyResult", "Say Play Pause"),
    "Record": _verb(
        "action method maxLength playBeep timeout finishOnKey transcribe recordingStatusCallback"
        " recordingStatusCallbackMethod"
    ),
    "Redirect": _verb("method", text=True),
    "Hangup": _verb(),
    "Reject": _verb("reason"),
}


class DocumentRefused(Exception):
    """It is not a document that Twilio runs.

    Attributes:
        code: Twilio's error code.
    """

    def __init__(self, code: int, text: str) -> None:
        """Say why; see the class."""
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Document:
    """One TwiML document."""

    verbs: list[ET.Element]
    url: str | None
    """Where it came from, in its public form; None for one that REST gave."""

    problems: list[str]
    """What Twilio would ignore in it."""


def check_content(content_type: str, body: bytes) -> None:
    """Check what a webhook's answer must be to hold a document at all.

    Raises:
        DocumentRefused: 12300 for its content type, 11750 for its length.
    """
    if content_type not in _XML_TYPES:
        raise DocumentRefused(12300, f"content type {content_type!r} is not XML")
    if len(body) > LONGEST:
        raise DocumentRefused(11750, f"{len(body)} bytes are too many")


def parse(text: str | bytes, url: str | None) -> Document:
    """Read a document.

    Args:
        text: The whole of it; nothing, not even a space, may stand before an XML declaration.
        url: Where it came from.

    Raises:
        DocumentRefused: 12100, it is not XML or its root is not `<Response>`.
    """
    try:
        root = ET.fromstring(text)  # noqa: S314 - the document of our own server
    except (ET.ParseError, ValueError) as error:
        raise DocumentRefused(12100, f"not a document: {error}") from None
    if root.tag != "Response":
        raise DocumentRefused(12100, f"the root is <{root.tag}>, not <Response>")
    problems = [f"<Response> has no attribute {name}" for name in root.attrib] + _problems(root)
    known = _VERBS["Response"].children
    return Document([verb for verb in root if verb.tag in known], url, problems)


def _problems(element: ET.Element) -> list[str]:
    """What is wrong inside an element that is itself known."""
    verb = _VERBS[element.tag]
    found: list[str] = []
    stray = [element.text, *(child.tail for child in element)]
    if not verb.text and any(text and text.strip() for text in stray):
        found.append(f"<{element.tag}> holds text")
    for child in element:
        if child.tag not in verb.children:
            found.append(f"<{element.tag}> may not hold <{child.tag}>")
            continue
        attributes = _VERBS[child.tag].attributes
        found += [f"<{child.tag}> has no attribute {a}" for a in child.attrib if a not in attributes]
        found += _problems(child)
    return found


def number(element: ET.Element, attribute: str, default: int) -> int:
    """A whole number in an attribute; the default where there is none.

    Raises:
        DocumentRefused: 12200, it is not a whole number.
    """
    value = element.get(attribute)
    if value is None:
        return default
    if not value.isdecimal():
        raise DocumentRefused(12200, f"<{element.tag} {attribute}={value!r}> is not a whole number")
    return int(value)


def flag(element: ET.Element, attribute: str, *, default: bool = False) -> bool:
    """Whether an attribute is `true`; the default where there is none."""
    return element.get(attribute, str(default)).lower() == "true"


def words(element: ET.Element) -> str:
    """The text of an element, without the spaces around it."""
    return (element.text or "").strip()
