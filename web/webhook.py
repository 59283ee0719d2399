"""A webhook of Twilio's: its form, and the check that it is Twilio who sends it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request, WebSocket

from bot.signatures import Signatures

SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"
_RETRY_HEADER = "i-twilio-idempotency-token"
_LONGEST_TOKEN = 200
_LONGEST_FORM = 64 * 1024

ENDED = ("completed", "busy", "failed", "no-answer", "canceled")
"""What `CallStatus` is of a leg that is over (Twilio: Call resource)."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A signed webhook's form fields."""

    form: dict[str, str]

    retry_token: str
    """The same on every retry of one request to one address; empty where Twilio sent none."""

    @property
    def call_sid(self) -> str:
        """The call it is about: the caller's leg, also where Twilio speaks of the person's."""
        return self.form.get("ParentCallSid") or self.form.get("CallSid", "")

    @property
    def parties(self) -> tuple[str, str]:
        """Whom we talk with, and our own number: the other way round where the call is ours."""
        parties = self.form.get("From", ""), self.form.get("To", "")
        return parties if self.form.get("Direction") != "outbound-api" else (parties[1], parties[0])

    def number(self, field: str) -> int:
        """A field that holds a whole number; 0 where it does not."""
        value = self.form.get(field, "")
        return int(value) if value.isdecimal() else 0


def signed(signatures: Signatures) -> Callable[[Request], Awaitable[Webhook]]:
    """Make the dependency that lets nobody but Twilio in.

    Args:
        signatures: Checks that it is Twilio who calls.
    """

    async def check(request: Request) -> Webhook:
        body = await request.body()
        if len(body) > _LONGEST_FORM:
            raise HTTPException(413, "no webhook of Twilio's is that long")
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        if not signatures.webhook(
            asked_for(request),
            pairs,
            request.headers.get("x-twilio-signature"),
            settings=request.headers.get(SETTINGS_HEADER),
        ):
            raise HTTPException(403, "the signature is not Twilio's")
        token = request.headers.get(_RETRY_HEADER, "")
        return Webhook(dict(pairs), f"{request.url.path} {token}" if 0 < len(token) <= _LONGEST_TOKEN else "")

    return check


def asked_for(request: Request | WebSocket) -> str:
    """Path and query exactly as they came over the wire, which is what Twilio signed."""
    path = request.scope["raw_path"].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path
