"""What a SIP telephone is told of a call: headers, behind its address."""

from urllib.parse import quote

from bot.call import Call
from bot.routing import Endpoint
from bot.xml_text import speakable

SIP_LIMIT = 900
"""The longest SIP address that we dial, with all its headers (Twilio: TwiML `<Sip>`; less than 1024)."""

SIP_SUMMARY = 300
"""Characters of the summary in a SIP header."""


def sip_uri(person: Endpoint, call: Call) -> str:
    """A SIP address with what the telephone, or the contact centre behind it, shall know of the call.

    Headers stand in the address's query (Twilio: TwiML `<Sip>`). `User-to-User` is the field of RFC 7433 that contact
    centres pass on.
    """
    handoff = call.handoffs[-1] if call.handoffs else None
    headers = {
        "User-to-User": f"{call.sid.encode().hex()};encoding=hex",
        "X-Call-Sid": call.sid,
        "X-Caller": speakable(call.caller, 40),
    }
    if handoff is not None:
        headers |= {
            "X-Target": handoff.target or "",
            "X-Reason": speakable(handoff.reason, 60),
            "X-Summary": speakable(handoff.summary, SIP_SUMMARY),
        }
    uri = person.address
    for name, value in headers.items():
        header = f"{name}={quote(value, safe='')}"
        separator = "&" if "?" in uri else "?"
        while value and len(uri) + len(header) + 1 > SIP_LIMIT:  # not through the middle of an encoded character
            value = value[: len(value) * 3 // 4] if name in ("X-Summary", "X-Reason") else ""
            header = f"{name}={quote(value, safe='')}"
        if value:
            uri += separator + header
    return uri
