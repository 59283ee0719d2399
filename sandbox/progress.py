"""Status callbacks: how Twilio tells of a leg's progress (Twilio: Call progress events)."""

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime

from sandbox.leg import Leg
from sandbox.webhooks import WebhookFailed, Webhooks


async def notify(webhooks: Webhooks, leg: Leg, url: str, form: dict[str, str], method: str) -> None:
    """Send a callback whose answer is not read; one that is not a success is a warning of the call (Twilio: 15003)."""
    try:
        await webhooks.send(url, form, call_sid=leg.scene_sid, method=method.upper())
    except WebhookFailed as error:
        leg.warn(15003, str(error))


class Progress:
    """The status callback of one leg: one request after the other, beside the call."""

    def __init__(
        self,
        webhooks: Webhooks,
        leg: Leg,
        url: str | None,
        *,
        owner: Leg,
        method: str = "POST",
        events: frozenset[str] = frozenset({"completed"}),
    ) -> None:
        """Prepare.

        Args:
            webhooks: Sends them.
            leg: Whose progress it is.
            url: Where to, in its public form; None for nowhere.
            owner: The leg whose end waits for the requests.
            method: `POST` or `GET`.
            events: What is told: `initiated`, `ringing`, `answered`, `completed`.
        """
        self._webhooks = webhooks
        self._leg = leg
        self._url = url
        self._owner = owner
        self._method = method
        self._events = events
        self._sequence = 0
        self._last: asyncio.Task[None] | None = None

    def tell(self, event: str) -> None:
        """Tell of an event, if it is wanted."""
        if self._url is None or event not in self._events:
            return
        form = self._leg.form() | {
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self._sequence),
            "Timestamp": format_datetime(datetime.now(UTC)),
        }
        if event == "initiated":
            form["CallStatus"] = "initiated"
        if event == "completed":
            form |= {"CallDuration": str(self._leg.seconds), "Duration": str(-(-self._leg.seconds // 60))}
        self._sequence += 1
        self._last = self._owner.background(self._send(self._last, self._url, form))

    async def _send(self, previous: asyncio.Task[None] | None, url: str, form: dict[str, str]) -> None:
        if previous is not None:
            await asyncio.wait({previous})
        await notify(self._webhooks, self._leg, url, form, self._method)
