"""Listening in: a supervisor hears caller and bot, where the operator allows it. The journal says who, and when.

What passes on the call's media socket goes to the browser as it is (see `bot.tap`), which plays it as Twilio does. Only
the process that has that socket can do it; another one says which that is.
"""

import asyncio
import json
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Path, WebSocket
from loguru import logger
from starlette.websockets import WebSocketDisconnect

from bot.call import STREAM_PHASES
from bot.desk import NobodyCarries
from bot.feed import News
from bot.line import Line
from bot.session import Session
from bot.tap import Ear
from web.console.access import Access, Visitor
from web.console.gate import Elsewhere, Gate, Refused

ACKNOWLEDGED = 25
"""The browser says so whenever it has got so many messages: a socket's buffer shall not be what waits for it."""

NOT_ALLOWED = "Nobody may listen in: the hand-off policy does not say `listen_in: {allowed: true}`."
NOT_WITH_BOT = "The caller is not with the bot now, so there is nothing to hear."
OVER = "The caller is not with the bot any more."
LOGGED_OUT = "Your session is over. Log in again."

CallSid = Annotated[str, Path(pattern="^CA[0-9a-fA-F]{32}$")]


def listening(line: Line, gate: Gate) -> APIRouter:
    """Make the socket on which a call is heard.

    Args:
        line: Whose calls are heard.
        gate: Who may.
    """
    router = APIRouter(include_in_schema=False)

    @router.websocket("/console/calls/{sid}/listen")
    async def listen(socket: WebSocket, sid: CallSid) -> None:
        try:
            visitor = gate.at_socket(socket)
        except (Refused, Elsewhere):
            await socket.close(1008)  # before `accept`: 403
            return
        await socket.accept()
        with logger.contextualize(call_sid=sid), suppress(WebSocketDisconnect, RuntimeError):
            session = await line.switchboard.find(sid)
            words = await _why_not(line, sid, session)
            if session is not None and not words:
                words = await _hear(line, session, visitor, socket, gate.access)
            await close_with(socket, words)

    return router


async def close_with(socket: WebSocket, words: str) -> None:
    """Close the socket of a page, and tell it why."""
    await socket.send_text(json.dumps({"words": words}))
    await socket.close()


async def _why_not(line: Line, sid: str, session: Session | None) -> str:
    """Why a call cannot be heard here; empty where it can."""
    if session is None:
        return NOT_WITH_BOT
    if not line.receptions.of(session.call.called).policy.listen_in:
        return NOT_ALLOWED
    return await elsewhere(line, sid, session)


async def elsewhere(line: Line, sid: str, session: Session) -> str:
    """Why the media stream of a call is not one of this process's, in words; empty where it is."""
    if session.talks:
        return ""
    try:
        name = await line.desk.whereabouts(sid)
    except NobodyCarries:
        asked = session.call.phase in STREAM_PHASES and line.feed.shared
        return "The server that carries this call did not answer. Try again." if asked else NOT_WITH_BOT
    return f"This call is carried by {name}. It is heard on a page of that server alone, and this is another one."


async def _hear(line: Line, session: Session, visitor: Visitor, socket: WebSocket, access: Access) -> str:
    """Let somebody hear a call, and keep that they did. Returns why it is over."""
    await _note(line, session, visitor, "ListeningBegan")
    ear = session.tap.join()
    if not session.talks:  # the stream ended while that was written
        ear.end()
    following = asyncio.create_task(_follow(socket, ear))
    try:
        while access.lasts(visitor) and (message := await ear.next()) is not None:
            await socket.send_text(message)
    finally:
        following.cancel()
        session.tap.leave(ear)
        await _note(line, session, visitor, "ListeningEnded")
    return OVER if access.lasts(visitor) else LOGGED_OUT


async def _follow(socket: WebSocket, ear: Ear) -> None:
    """Hear what the browser has got, and when it goes."""
    while (await socket.receive())["type"] == "websocket.receive":
        ear.taken(ACKNOWLEDGED)
    ear.end()


async def _note(line: Line, session: Session, visitor: Visitor, what: str) -> None:
    await session.note(session.now(), what, {"who": visitor.name})
    line.feed.publish(News("listens", session.sid, {"who": visitor.name, "on": what == "ListeningBegan"}))
