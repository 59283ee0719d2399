"""The queues: who waits in them, and an order to have one of a target's people called to take the next caller."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path
from pydantic import BaseModel, ConfigDict

from bot.line import Line
from bot.queues import NobodyWaits, NotOnTheList
from bot.telephony import Ambiguous, TelephonyError
from web.api import console_access, reading


class WaitingView(BaseModel):
    """A caller who waits."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    call_sid: str
    caller: str
    since: datetime
    reason: str


class QueueView(BaseModel):
    """The queue of a target."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    target: str
    queue: str
    """Its name at Twilio, or the SID of the workflow that finds people for it."""
    people: list[str]
    """Who can be called to take the next caller."""
    waiting: list[WaitingView]
    """Who came first is first."""


class TakeOrder(BaseModel):
    """Which of the people shall be called."""

    number: str
    """As it stands in the target's `numbers`: E.164, `sip:…` or `client:…`."""


def queues_api(line: Line, *, password: str | None) -> APIRouter:
    """Make the routes under `/api/queues`.

    Args:
        line: Whose queues they are.
        password: See `web.api.console_access`.
    """
    guarded = [Depends(console_access(password))]
    answers: dict[int | str, dict[str, object]] = {401: {}, 403: {}, 503: {}}
    api = APIRouter(prefix="/api/queues", tags=["queues"], dependencies=guarded, responses=answers)

    @api.get("")
    async def list_queues() -> list[QueueView]:
        """The targets with a queue, and who waits there."""
        views: list[QueueView] = []
        for key, target in line.receptions.targets.items():
            if target.queue is None:
                continue
            async with reading():
                calls = await line.queues.waiting(key)
            waiting = [
                WaitingView(
                    call_sid=call.sid,
                    caller=call.caller,
                    since=datetime.fromtimestamp(call.attempts[-1].at, UTC),
                    reason=call.handoffs[-1].reason,
                )
                for call in calls
            ]
            people = [person.address for person in target.people]
            name = target.queue.name or target.queue.workflow
            views.append(QueueView(target=key, queue=name, people=people, waiting=waiting))
        return views

    @api.post("/{target}/take", status_code=202, responses={404: {}, 409: {}})
    async def take_next(target: Annotated[str, Path(max_length=100)], order: TakeOrder) -> dict[str, str]:
        """Call somebody to take the next caller. They are asked for a key before they have them."""
        known = line.receptions.targets.get(target)
        if known is None or known.queue is None:
            raise HTTPException(404, f"The target {target} has no queue.")
        try:
            async with reading():
                sid = await line.queues.take(target, order.number)
        except NobodyWaits as error:
            raise HTTPException(
                409, "Nobody waits there, or somebody is being called for everybody who does."
            ) from error
        except NotOnTheList as error:
            raise HTTPException(422, f"{order.number} is none of the `numbers` of {target}.") from error
        except Ambiguous as error:
            raise HTTPException(503, "Twilio did not answer clearly: that telephone may be ringing.") from error
        except TelephonyError as error:
            raise HTTPException(503, f"Twilio does not call them: {error}") from error
        return {"target": target, "number": order.number, "call_sid": sid}

    return api
