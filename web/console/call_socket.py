"""A page's socket to one live call: who may open it, where the call's media stream is, why it is closed, in words."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

from fastapi import WebSocket
from loguru import logger
from starlette.websockets import WebSocketDisconnect

from bot.call import STREAM_PHASES
from bot.desk import NobodyCarries
from bot.line import Line
from bot.session import Session
from web.console.access import Visitor
from web.console.gate import Elsewhere, Gate, Refused

ACKNOWLEDGED = 25
"""The browser says so whenever it has got so many messages: a socket's buffer shall not be what waits for it."""

NOT_WITH_BOT = "The caller is not with the bot now, so there is nothing to hear."
LOGGED_OUT = "Your session is over. Log in again."


async def at_call(
    socket: WebSocket, sid: str, line: Line, gate: Gate, serve: Callable[[Session, Visitor], Awaitable[str]]
) -> None:
    """Let a supervisor have something of a call that this process knows, and tell the page why it is over.

    Args:
        socket: The page's; not accepted yet.
        sid: The call's SID.
        line: Whose call it is.
        gate: Who may.
        serve: Does it. Returns why it is over, or was not possible.
    """
    try:
        visitor = gate.at_socket(socket)
    except (Refused, Elsewhere):
        await socket.close(1008)  # before `accept`: 403
        return
    await socket.accept()
    with logger.contextualize(call_sid=sid), suppress(WebSocketDisconnect, RuntimeError):
        session = await line.switchboard.find(sid)
        words = await serve(session, visitor) if session is not None else NOT_WITH_BOT
        await socket.send_text(json.dumps({"words": words}))
        await socket.close()


async def elsewhere(line: Line, session: Session) -> str:
    """Why the media stream of a call is not one of this process's, in words; empty where it is."""
    if session.talks:
        return ""
    try:
        name = await line.desk.whereabouts(session.sid)
    except NobodyCarries:
        asked = session.call.phase in STREAM_PHASES and line.feed.shared
        return "The server that carries this call did not answer. Try again." if asked else NOT_WITH_BOT
    return f"This call is carried by {name}. It is heard on a page of that server alone, and this is another one."
