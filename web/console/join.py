"""A supervisor talks with the caller from the browser, in the bot's place. The law gives it to them, and takes it back.

What the browser's microphone hears comes as µ-law and goes to the call's media stream; what the caller says goes to the
browser as it does to who listens in. A browser that is gone, or from which nothing comes any more, has left.
"""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, WebSocket
from loguru import logger

from bot.call import Call, Phase
from bot.line import Line
from bot.person_events import SupervisorJoined, SupervisorLeft
from bot.session import Session
from bot.tap import FROM_CALLER, Ear
from web.console.access import Access, Visitor
from web.console.call_socket import ACKNOWLEDGED, LOGGED_OUT, NOT_WITH_BOT, at_call, elsewhere
from web.console.gate import CallSid, Gate

SILENT_SECONDS = 3.0
"""For how long no sound may come from the browser, which sends silence, too."""

LONGEST_AUDIO = 1600
"""Bytes of one message: 0.2 s. Browsers send 20 ms."""

GONE_ON = "The caller is with you no more: they have been put through, or the call is over."


def joining(line: Line, gate: Gate) -> APIRouter:
    """Make the socket by which a supervisor talks with a caller.

    Args:
        line: Whose calls they are.
        gate: Who may.
    """
    router = APIRouter(include_in_schema=False)

    @router.websocket("/console/calls/{sid}/join")
    async def join(socket: WebSocket, sid: CallSid) -> None:
        async def serve(session: Session, visitor: Visitor) -> str:
            return await elsewhere(line, session) or await _join(session, visitor, socket, gate.access)

        await at_call(socket, sid, line, gate, serve)

    return router


async def _join(session: Session, visitor: Visitor, socket: WebSocket, access: Access) -> str:
    """Let somebody talk with the caller. Returns why they do not any more, or did not at all."""
    at = session.now()
    await session.apply(SupervisorJoined(at=at, who=visitor.name))
    number = len(session.call.joins)
    if not _has(session.call, number) or session.call.joins[-1].at != at:
        return _why_not(session.call)
    ear = session.tap.join()
    if not session.talks:  # the stream ended while that was written
        ear.end()
    both = [
        asyncio.create_task(_hear_supervisor(socket, session, number, ear)),
        asyncio.create_task(_pass_on_caller(socket, ear, lambda: access.lasts(visitor))),
    ]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)  # a browser that takes nothing is gone, too
    finally:
        session.post(SupervisorLeft(at=session.now(), join=number))
        session.tap.leave(ear)
        for task in both:
            task.cancel()
    await asyncio.gather(*both, return_exceptions=True)
    return GONE_ON if access.lasts(visitor) else LOGGED_OUT


async def _pass_on_caller(socket: WebSocket, ear: Ear, lasts: Callable[[], bool]) -> None:
    """Let them hear the caller, as long as their session goes on."""
    while lasts() and (message := await ear.next()) is not None:
        if message.startswith(FROM_CALLER):
            await socket.send_text(message)
        else:
            ear.taken(1)  # their own voice


def _has(call: Call, number: int) -> bool:
    """Whether the supervisor of that stretch has the caller."""
    return call.phase is Phase.JOINED and len(call.joins) == number


def _why_not(call: Call) -> str:
    if call.phase is Phase.JOINED:
        return f"{call.joins[-1].who} talks with the caller already."
    if call.phase is Phase.LEAVING:
        return "The caller is just being put through."
    return NOT_WITH_BOT


async def _hear_supervisor(socket: WebSocket, session: Session, number: int, ear: Ear) -> None:
    """Pass on what they say, until they or their browser are gone, or the caller has gone on."""
    clock = asyncio.get_running_loop().time
    until = clock() + SILENT_SECONDS
    try:
        while _has(session.call, number):
            message = await asyncio.wait_for(socket.receive(), until - clock())
            if message["type"] != "websocket.receive":
                return
            audio = message.get("bytes")
            if audio is None:
                ear.taken(ACKNOWLEDGED)
            elif len(audio) <= LONGEST_AUDIO:
                session.relay(audio)
                until = clock() + SILENT_SECONDS
    except TimeoutError:
        logger.warning("nothing comes from the supervisor's browser any more")
    finally:
        ear.end()
