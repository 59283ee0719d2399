"""The page of a person who is rung: who is calling, why, what was said, and buttons that do what the keys do.

Whoever has the link may open it: it is signed, names one attempt of one call, and expires. The page has no script; what
came from callers and models is text in it. What changes stands in a frame that loads itself again.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from loguru import logger

from bot.call import Attempt, Call
from bot.events import Event, ImpossibleEvent, PersonAccepted, PersonDeclined
from bot.ledger import Record
from bot.queue_rules import is_queue
from bot.routing import Mode, resolve
from bot.switchboard import Switchboard

AGAIN_SECONDS = 2
"""How often the frame loads itself again while the person has not joined."""

LONGEST_REASON = 200

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; frame-ancestors 'self'; "
        "base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address is the key
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:1rem auto;padding:0 1rem;color:#222}"
    "iframe{width:100%;height:20rem;border:1px solid #ccc}button,input{font:inherit;padding:.4rem 1rem;margin:.4rem 0}"
    "dt{font-weight:bold}dd{margin:0 0 .5rem}"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

Token = Annotated[str, Path(max_length=200)]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link opens."""

    record: Record
    attempt: int
    """From 1."""


def person_page(switchboard: Switchboard, read: Callable[[str], Awaitable[Record | None]]) -> APIRouter:
    """Make the routes under `/handoff`.

    Args:
        switchboard: Finds the calls.
        read: Everything that is kept of a call.
    """
    router = APIRouter(prefix="/handoff", include_in_schema=False)

    async def opened(token: Token) -> Opened:
        found = switchboard.pages.read(token, switchboard.now())
        record = await read(found[0]) if found is not None else None
        if found is None or record is None or not 0 < found[1] <= len(record.stored.call.attempts):
            raise HTTPException(404, "This link opens nothing, or not any more.")
        return Opened(record, found[1])

    async def tell(page: Opened, event: Event) -> None:
        sid = page.record.stored.call.sid
        with logger.contextualize(call_sid=sid):
            session = await switchboard.find(sid)
            if session is not None:
                try:
                    await session.apply(event)
                except ImpossibleEvent as error:
                    logger.warning("{}", error)

    @router.get("/{token}")
    async def show(token: Token, page: Annotated[Opened, Depends(opened)]) -> Response:
        """Who is calling and why."""
        call = page.record.stored.call
        target = resolve(switchboard.policy_of(call.called), call.attempts[page.attempt - 1].target)
        asks = target.mode not in (Mode.DIAL, Mode.QUEUE)
        return HTMLResponse(_whole(call, page.attempt, token, asks=asks), headers=_HEADERS)

    @router.get("/{token}/live")
    async def live(page: Annotated[Opened, Depends(opened)]) -> Response:
        """How it stands, and what was said so far."""
        return HTMLResponse(_live(page.record, page.attempt), headers=_HEADERS)

    @router.post("/{token}/accept")
    async def accept(token: Token, page: Annotated[Opened, Depends(opened)]) -> Response:
        """Take the call, as with key 1."""
        await tell(page, PersonAccepted(at=switchboard.now(), attempt=page.attempt, at_page=True))
        return RedirectResponse(f"/handoff/{token}", 303, headers=_HEADERS)

    @router.post("/{token}/decline")
    async def decline(
        token: Token,
        page: Annotated[Opened, Depends(opened)],
        reason: Annotated[str, Form(max_length=LONGEST_REASON)] = "",
    ) -> Response:
        """Do not take the call, as with key 2."""
        event = PersonDeclined(at=switchboard.now(), attempt=page.attempt, reason=_plain(reason), at_page=True)
        await tell(page, event)
        return RedirectResponse(f"/handoff/{token}", 303, headers=_HEADERS)

    return router


def _plain(text: str) -> str:
    return _CONTROLS.sub(" ", text)


def _text(text: str) -> str:
    return escape(_plain(text))


def _waits(attempt: Attempt) -> bool:
    return attempt.outcome is None and attempt.accepted_at is None


def _status(attempt: Attempt) -> str:
    if attempt.outcome is not None:
        return f"over: {attempt.outcome.replace('_', ' ')}"
    if attempt.accepted_at is not None:
        return "you have taken the call"
    if attempt.answered_at is None and is_queue(attempt.number):
        return "the caller waits in the queue"
    return "you have picked up" if attempt.answered_at is not None else "your telephone rings"


def _whole(call: Call, n: int, token: str, *, asks: bool) -> str:
    attempt = call.attempts[n - 1]
    handoff = call.handoffs[attempt.handoff - 1] if attempt.handoff else None
    facts = [("Caller", call.caller), ("Called", call.called)]
    if handoff is not None:
        facts += [("Reason", handoff.reason or "–"), ("Summary", handoff.summary or "–")]
    tried = [f"{other.target.replace('_', ' ')}: {_status(other)}" for other in call.attempts[: n - 1]]
    if tried:
        facts.append(("Tried before you", "; ".join(tried)))
    told = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts)
    buttons = ""
    if _waits(attempt) and asks and not attempt.several:
        buttons = (
            f'<form method="post" action="/handoff/{_text(token)}/accept"><button>Take the call</button> '
            "(pick up your telephone first)</form>"
            f'<form method="post" action="/handoff/{_text(token)}/decline"><input name="reason" '
            f'maxlength="{LONGEST_REASON}" placeholder="Reason, for the bot"> <button>Decline</button></form>'
        )
    elif _waits(attempt) and asks:
        buttons = "<p>Press 1 on your telephone to take the call, 2 to decline.</p>"
    frame = f'<iframe title="What was said" src="/handoff/{_text(token)}/live"></iframe>'
    return _document("A call for you", f"<h1>A call for you</h1><dl>{told}</dl>{buttons}{frame}")


def _live(record: Record, n: int) -> str:
    attempt = record.stored.call.attempts[n - 1]
    again = f'<meta http-equiv="refresh" content="{AGAIN_SECONDS}">' if attempt.outcome is None else ""
    joined = attempt.bridged_at or attempt.accepted_at or float("inf")
    lines = [line for line in record.transcript if line.role != "tool" and line.at <= joined]
    said = "".join(f"<p><b>{line.role}</b>: {_text(line.text)}</p>" for line in lines)
    return _document("What was said", f"<p><i>{_text(_status(attempt))}</i></p>{said}", again)


def _document(title: str, body: str, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{head}'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>'
    )
