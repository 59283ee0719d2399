"""Text for TwiML. What came from a person or a model is hostile there, and everything has its longest length. Pure."""

import re

INLINE_LIMIT = 4000
"""The longest document that a redirect may carry, in characters (Twilio: Update a Call, `Twiml`; error 32018)."""

SAY_LIMIT = 1000
"""The longest text we let Twilio speak, in characters."""

_NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def speakable(text: str, limit: int = SAY_LIMIT) -> str:
    """The text with every character that XML 1.0 forbids removed and its length capped."""
    clean = " ".join(_NOT_XML.sub(" ", text).split())
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"
