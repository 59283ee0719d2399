"""Callbacks over the API: which are to be made, how they went, and to cancel one."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from bot.callback import CallbackOutcome, State, TryOutcome
from bot.callbacks import BeingMade, Callbacks
from web.api import Before, console_access, reading

CallbackId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
OfCall = Annotated[str | None, Query(pattern="^CA[0-9a-fA-F]{32}$")]


class _Told(BaseModel):
    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True, val_temporal_unit="seconds")


class TryView(_Told):
    """One call to a person of ours."""

    target: str
    number: str
    started_at: datetime = Field(validation_alias="at")
    call_sid: str | None = Field(validation_alias="leg_sid")
    """Of the call to them."""

    answered_at: datetime | None
    accepted_at: datetime | None
    """When they pressed the key: then the caller's telephone rang."""

    ended_at: datetime | None
    outcome: TryOutcome | None


class CallbackView(_Told):
    """One callback."""

    callback: str = Field(validation_alias="uid")
    call_sid: str
    """The call in which it was asked for."""

    number: str
    """Who is called back."""

    called: str
    """Our number."""

    target: str
    reason: str
    summary: str
    asked_at: datetime
    due_at: datetime
    """When it goes on; while somebody is called, by when that must have come to something."""

    state: State
    tries: list[TryView]
    done_at: datetime | None
    outcome: CallbackOutcome | None
    """Null while it is open."""


class CallbackPage(_Told):
    """Some callbacks, newest first."""

    callbacks: list[CallbackView]
    next_before: float | None
    """Give it as `before` to get those that were asked for earlier; null when there can be none."""


def callbacks_api(callbacks: Callbacks, *, password: str | None) -> APIRouter:
    """Make the routes under `/api/callbacks`.

    Args:
        callbacks: Their book.
        password: See `web.api.console_access`.
    """
    guarded = [Depends(console_access(password))]
    answers: dict[int | str, dict[str, object]] = {401: {}, 403: {}, 503: {}}
    api = APIRouter(prefix="/api/callbacks", tags=["callbacks"], dependencies=guarded, responses=answers)

    @api.get("")
    async def list_callbacks(
        *,
        open_only: Annotated[bool, Query(alias="open", description="only those that are not over")] = True,
        call_sid: OfCall = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Before = None,
    ) -> CallbackPage:
        """List callbacks, newest first."""
        asked = before.timestamp() if isinstance(before, datetime) else before
        async with reading():
            found = await callbacks.some(open_only=open_only, call_sid=call_sid, limit=limit, before=asked)
        views = [CallbackView.model_validate(each) for each in found]
        return CallbackPage(callbacks=views, next_before=found[-1].asked_at if len(found) == limit else None)

    @api.get("/{callback}", responses={404: {}})
    async def read_callback(callback: CallbackId) -> CallbackView:
        """One callback."""
        async with reading():
            found = await callbacks.read(callback)
        if found is None:
            raise HTTPException(404, f"There is no callback {callback}.")
        return CallbackView.model_validate(found)

    @api.delete("/{callback}", responses={404: {}, 409: {}})
    async def cancel_callback(callback: CallbackId) -> CallbackView:
        """Cancel it: nobody is called any more. One that is over stays as it is."""
        try:
            async with reading():
                found = await callbacks.cancel(callback)
        except BeingMade as error:
            raise HTTPException(409, "The caller is being called, or is talking with a person.") from error
        if found is None:
            raise HTTPException(404, f"There is no callback {callback}.")
        return CallbackView.model_validate(found)

    return api
