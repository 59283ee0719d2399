"""Text messages in REST (Twilio: Message resource, Create a Message)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from sandbox.account import Account
from sandbox.leg import new_sid
from sandbox.rest_answers import Refusal

LONGEST = 1600
"""Characters (Twilio: error 21617)."""


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A message that our server has sent."""

    sid: str
    to: str
    from_: str
    body: str


class MessagesResource:
    """What REST answers about text messages.

    Attributes:
        sent: Every message, in order.
    """

    def __init__(self, account: Account) -> None:
        """Args: account: who sends them."""
        self.sent: list[TextMessage] = []
        self._account = account

    async def create(self, request: web.Request) -> tuple[int, object]:
        """Send one."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        to, from_, body = (form.get(name, "") for name in ("To", "From", "Body"))
        if not to:
            raise Refusal(400, 21604, "A 'To' phone number is required.")
        if not re.fullmatch(r"\+[1-9][0-9]{1,14}", to):
            raise Refusal(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        line = self._account.numbers.get(from_)
        if line is None or not line.sms:
            raise Refusal(400, 21606, f"The 'From' phone number {from_} is not one of ours that can send messages.")
        if not body:
            raise Refusal(400, 21602, "Message body is required.")
        if len(body) > LONGEST:
            raise Refusal(400, 21617, f"The message body has more than {LONGEST} characters.")
        message = TextMessage(new_sid("SM"), to, from_, body)
        self.sent.append(message)
        self._account.journal.note("rest", "message", None, to=to, body=body)
        return 201, self._resource(message)

    def _resource(self, message: TextMessage) -> dict[str, object]:
        now = format_datetime(datetime.now(UTC))
        return {
            "sid": message.sid,
            "account_sid": self._account.sid,
            "to": message.to,
            "from": message.from_,
            "body": message.body,
            "status": "queued",
            "direction": "outbound-api",
            "num_segments": str(-(-len(message.body) // 153)),
            "num_media": "0",
            "error_code": None,
            "error_message": None,
            "messaging_service_sid": None,
            "price": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "date_created": now,
            "date_updated": now,
            "date_sent": None,
            "uri": f"{self._account.path}/Messages/{message.sid}.json",
            "subresource_uris": {"media": f"{self._account.path}/Messages/{message.sid}/Media.json"},
        }
