"""How webhooks of Twilio's about a call are answered: what they tell is a fact of the call, and a document follows."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Query, Response
from loguru import logger

from bot.events import Event, ImpossibleEvent
from bot.session import Session
from bot.switchboard import Switchboard
from web.webhook import Webhook

Attempt = Annotated[int, Query(ge=0)]

Caller = Annotated[str, Query(alias="call", pattern="^CA[0-9a-fA-F]{32}$")]
"""The caller's CallSid, where the webhook is about a call to a person."""

State = Annotated[str, Query(max_length=1000)]
"""What the address carries of its call; see `bot.carried`."""


class Answers:
    """Answers for the calls of one switchboard."""

    def __init__(self, switchboard: Switchboard) -> None:
        """Args: switchboard: knows the calls."""
        self._switchboard = switchboard

    async def control(self, webhook: Webhook, document: Callable[[], Awaitable[str]]) -> Response:
        """Answer a webhook that asks what to do with a call."""
        with logger.contextualize(call_sid=webhook.call_sid):
            return xml(await self._switchboard.once(webhook.call_sid, webhook.retry_token, document))

    async def answer(self, webhook: Webhook, event: Event, state: str) -> Response:
        """Apply a fact and answer with what follows from it for the caller."""
        caller, called = webhook.parties
        sid = webhook.call_sid
        return await self.control(webhook, lambda: self._switchboard.answer_callback(sid, caller, called, event, state))

    async def tell(self, webhook: Webhook, event: Event, state: str, sid: str = "") -> Session | None:
        """Apply a fact whose webhook wants no document of the caller's."""
        with logger.contextualize(call_sid=sid or webhook.call_sid):
            session = await self._switchboard.find(sid or webhook.call_sid, state)
            if session is not None:
                try:
                    await session.apply(event)
                except ImpossibleEvent as error:
                    logger.warning("{}", error)
            return session


def xml(document: str) -> Response:
    """A document as Twilio wants it."""
    return Response(document, media_type="text/xml")
