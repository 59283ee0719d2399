"""Calls that the bot makes: the API that orders them, and Twilio's webhooks about them until somebody answers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Path
from loguru import logger
from pydantic import BaseModel, ConfigDict, Field

from bot.ledger import LedgerError
from bot.outbound import CallingIsOff, NotAllowed, NotNow, Outbound
from bot.outbound_book import Order
from web.api import READ_SECONDS, Words, console_access

PLACED_SECONDS = 5.0
"""How long an answer waits for the call to be made, to tell its CallSid."""

LOOK_SECONDS = 0.1

T = TypeVar("T")


class CallOrder(BaseModel):
    """Somebody is to be called."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    to: str = Field(max_length=40)
    """The number, with + and country code. `outbound.allow` in handoff.yaml says which may be called."""

    from_: str | None = Field(None, alias="from", max_length=40)
    """Our number that they see; by default that of `outbound.number` in handoff.yaml."""

    purpose: Words = Field("", max_length=1000)
    """What the call is for; the bot is told."""


class OrderView(BaseModel):
    """An order, and what has come of it."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True, val_temporal_unit="seconds")

    order: str = Field(validation_alias="uid")
    to: str = Field(validation_alias="callee")
    from_: str = Field(validation_alias="number", serialization_alias="from")
    asked_at: datetime
    tries: int
    """How many calls have been made."""

    call_sid: str | None
    """The latest call, for `/api/calls/{call_sid}`; null while none has been made, or the next one is still to be."""

    due_at: datetime
    """Where no call goes on: when the next one is due."""

    done_at: datetime | None
    outcome: str | None
    """How the last call ended, as its `end`; or `refused`, `unknown`. Null while the order goes on."""


def outbound_api(outbound: Outbound, *, password: str | None) -> APIRouter:
    """Make the routes that order calls.

    Args:
        outbound: Takes the orders.
        password: See `web.api.console_access`.
    """
    guarded = [Depends(console_access(password))]
    api = APIRouter(prefix="/api/calls", tags=["calls"], dependencies=guarded, responses={401: {}, 403: {}, 503: {}})

    @api.post("", status_code=202, responses={409: {}})
    async def call_out(order: CallOrder) -> OrderView:
        """Have the bot call somebody. Answered when the first call is made, or in five seconds."""
        try:
            taken = await _reading(lambda: outbound.order(order.to, order.from_, order.purpose))
        except CallingIsOff as error:
            raise HTTPException(403, str(error)) from error
        except NotAllowed as error:
            raise HTTPException(422, str(error)) from error
        except NotNow as error:
            raise HTTPException(409, str(error)) from error
        return OrderView.model_validate(await _placed(outbound, taken))

    @api.get("/orders/{order}", responses={404: {}})
    async def read_order(order: Annotated[str, Path(pattern="^[0-9a-f]{32}$")]) -> OrderView:
        """What has come of an order."""
        found = await _reading(lambda: outbound.read(order))
        if found is None:
            raise HTTPException(404, f"There is no order {order}.")
        return OrderView.model_validate(found)

    return api


async def _placed(outbound: Outbound, order: Order) -> Order:
    """The order as soon as its call is made, by whichever process; as it is where that takes too long."""
    try:
        async with asyncio.timeout(PLACED_SECONDS):
            while order.call_sid is None and order.done_at is None:
                await asyncio.sleep(LOOK_SECONDS)
                order = await outbound.read(order.uid) or order
    except (LedgerError, TimeoutError) as error:
        logger.info("a call is not made yet: {!r}", error)
    return order


async def _reading(ask: Callable[[], Awaitable[T]]) -> T:
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await ask()
    except (LedgerError, TimeoutError) as error:
        raise HTTPException(503, "The record does not take the order now.") from error
