"""Listening in: a supervisor hears caller and bot, where the operator allows it. The journal says who, and when.

What passes on the call's media socket goes to the browser as it is (see `bot.tap`), which plays it as Twilio does. Only
the process that has that socket can do it; another one says which that is.
"""

import asyncio

from fastapi import APIRouter, WebSocket

from bot.line import Line
from bot.news import News
from bot.session import Session
from bot.tap import Ear
from web.console.access import Access, Visitor
from web.console.call_socket import ACKNOWLEDGED, LOGGED_OUT, at_call, elsewhere
from web.console.gate import CallSid, Gate

NOT_ALLOWED = "Nobody may listen in: the hand-off policy does not say `listen_in: {allowed: true}`."
OVER = "The caller is not with the bot any more."


def listening(line: Line, gate: Gate) -> APIRouter:
    """Make the socket on which a call is heard.

    Args:
        line: Whose calls are heard.
        gate: Who may.
    """
    router = APIRouter(include_in_schema=False)

    @router.websocket("/console/calls/{sid}/listen")
    async def listen(socket: WebSocket, sid: CallSid) -> None:
        async def serve(session: Session, visitor: Visitor) -> str:
            if not line.receptions.of(session.call.called).policy.listen_in:
                return NOT_ALLOWED
            return await elsewhere(line, session) or await _hear(line, session, visitor, socket, gate.access)

        await at_call(socket, sid, line, gate, serve)

    return router


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
