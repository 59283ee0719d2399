"""The one-time token that opens a media stream. Pure.

The upgrade's signature proves that Twilio is calling, not which call it is. So the document that opens the stream
carries a token, bound to the CallSid and to the leg, and Twilio gives it back in `start`. That it is used only once
is the law's doing: a leg that has started cannot start again.
"""

import hashlib
import hmac
from dataclasses import dataclass

TOKEN_SECONDS = 120
"""How long Twilio may take from our document to the stream's `start`."""


@dataclass(frozen=True, slots=True)
class StreamTokens:
    """Makes and checks tokens. Every process with the same secret accepts the tokens of the others."""

    secret: bytes

    @classmethod
    def from_auth_token(cls, auth_token: str) -> "StreamTokens":
        """Derive the secret from Twilio's auth token, which every replica has."""
        return cls(hashlib.sha256(b"putthrough media stream " + auth_token.encode()).digest())

    def make(self, call_sid: str, leg: int, at: float) -> str:
        """A token for this leg, good for `TOKEN_SECONDS` from `at` (Unix seconds)."""
        text = f"{leg}.{int(at) + TOKEN_SECONDS}"
        return f"{text}.{self._mac(call_sid, text)}"

    def leg(self, token: str, call_sid: str, at: float) -> int | None:
        """The leg that the token opens for this call; None when it is forged, expired or another call's."""
        text, _, mac = token.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(call_sid, text).encode()):
            return None
        leg, _, expires = text.partition(".")
        return int(leg) if at <= int(expires) else None

    def _mac(self, call_sid: str, text: str) -> str:
        return hmac.new(self.secret, f"{call_sid} {text}".encode(), hashlib.sha256).hexdigest()[:40]
