"""The seal on what Twilio carries for us, and the one-time token that opens a media stream. Pure.

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
class Seal:
    """Makes and checks seals. Every process with the same secret accepts the seals of the others."""

    secret: bytes

    @classmethod
    def from_auth_token(cls, auth_token: str, use: str) -> "Seal":
        """Derive the secret from Twilio's auth token, which every replica has; another one for each use."""
        return cls(hashlib.sha256(f"putthrough {use} {auth_token}".encode()).digest())

    def of(self, text: str) -> str:
        """The text's seal: 40 hexadecimal digits."""
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()[:40]

    def fits(self, seal: str, text: str) -> bool:
        """Whether it is the text's seal. Takes the same time either way."""
        return hmac.compare_digest(seal.encode(), self.of(text).encode())


@dataclass(frozen=True, slots=True)
class StreamTokens:
    """Makes and checks tokens."""

    seal: Seal

    @classmethod
    def from_auth_token(cls, auth_token: str) -> "StreamTokens":
        """Derive the secret from Twilio's auth token, which every replica has."""
        return cls(Seal.from_auth_token(auth_token, "media stream"))

    def make(self, call_sid: str, leg: int, at: float) -> str:
        """A token for this leg, good for `TOKEN_SECONDS` from `at` (Unix seconds)."""
        text = f"{leg}.{int(at) + TOKEN_SECONDS}"
        return f"{text}.{self.seal.of(f'{call_sid} {text}')}"

    def leg(self, token: str, call_sid: str, at: float) -> int | None:
        """The leg that the token opens for this call; None when it is forged, expired or another call's."""
        text, _, mac = token.rpartition(".")
        if not self.seal.fits(mac, f"{call_sid} {text}"):
            return None
        leg, _, expires = text.partition(".")
        return int(leg) if at <= int(expires) else None


PAGE_SECONDS = 12 * 3600
"""How long a person's page can be opened: a shift."""


@dataclass(frozen=True, slots=True)
class PersonPages:
    """Makes and checks what opens the page of a person who is rung."""

    seal: Seal

    @classmethod
    def from_auth_token(cls, auth_token: str) -> "PersonPages":
        """Derive the secret from Twilio's auth token, which every replica has."""
        return cls(Seal.from_auth_token(auth_token, "person's page"))

    def make(self, call_sid: str, attempt: int, at: float) -> str:
        """A token for one attempt of one call, good for `PAGE_SECONDS` from `at` (Unix seconds)."""
        text = f"{call_sid}.{attempt}.{int(at) + PAGE_SECONDS}"
        return f"{text}.{self.seal.of(text)}"

    def read(self, token: str, at: float) -> tuple[str, int] | None:
        """The CallSid and the attempt that it opens; None when it is forged or expired."""
        text, _, mac = token.rpartition(".")
        if not text or not self.seal.fits(mac, text):
            return None
        call_sid, attempt, expires = text.split(".")
        return (call_sid, int(attempt)) if at <= int(expires) else None
