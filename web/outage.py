"""The outage switch: while it is on, every new call goes straight to a person."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from bot.admission import Admission
from web.api import Words, console_access


class OutageOrder(BaseModel):
    """Turn the switch."""

    on: bool
    reason: Annotated[Words, Field(max_length=200)] = ""
    """Why; the record of each call that it sends to a person tells it."""


class OutageView(BaseModel):
    """The switch."""

    on: bool
    reason: str
    since: datetime | None
    """When it was last turned; null where it never was."""
    everywhere: bool = True
    """Whether all processes know. If not, the record took nothing, and only the process that answered obeys."""


Turned = Callable[[bool, str, float], Awaitable[None]]
"""`(on, reason, at)`: told when the switch was turned here, at a time in Unix seconds."""


def outage_switch(admission: Admission, *, turned: Turned, password: str | None) -> APIRouter:
    """Make the routes of `/api/outage`.

    Args:
        admission: Who decides on new calls.
        turned: Told when it was turned.
        password: See `console_access`.
    """
    guarded = [Depends(console_access(password))]
    api = APIRouter(prefix="/api/outage", tags=["outage"], dependencies=guarded, responses={401: {}, 403: {}})

    @api.get("")
    async def read_switch() -> OutageView:
        """Whether new calls go straight to a person."""
        switch = await admission.outage()
        since = datetime.fromtimestamp(switch.at, UTC) if switch.at else None
        return OutageView(on=switch.on, reason=switch.reason, since=since)

    @api.put("")
    async def turn_switch(order: OutageOrder) -> OutageView:
        """Send every new call straight to a person, or to the bot again. Live calls go on as they are."""
        now = datetime.now(UTC)
        everywhere = await admission.switch(order.on, order.reason, now.timestamp())
        await turned(order.on, order.reason, now.timestamp())
        return OutageView(on=order.on, reason=order.reason, since=now, everywhere=everywhere)

    return api
