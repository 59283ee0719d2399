"""A supervisor talks with the caller from the browser, in the bot's place. The law gives it to them, and takes it back.

What the browser's microphone hears comes as µ-law and goes to the call's media stream; what the caller says goes to the
browser as it does to who listens in. A browser that is gone, or from which nothing comes any more, has left.
"""

import asyncio
import time
from contextlib import suppress

from fastapi import APIRouter, WebSocket
from loguru import logger
from starlette.websockets import WebSocketDisconnect

from bot.call import Call, Phase
from bot.line import Line
from bot.person_events import SupervisorJoined, SupervisorLeft
from bot.session import Session
from bot.tap import FROM_CALLER, Ear
from web.console.access import Visitor
from web.console.gate import Elsewhere, Gate, Refused
from web.console.listen import ACKNOWLEDGED, LOGGED_OUT, NOT_WITH_BOT, CallSid, close_with, elsewhere

SILENT_SECONDS = 3.0
"""For how long no sound may come from the browser, which sends silence, too."""

LONGEST_AUDIO = 8000
"""Bytes of one message: a second. Browsers send 20 ms."""

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
        try:
            visitor = gate.at_socket(socket)
        except (Refused, Elsewhere):
            await socket.close(1008)  # before `accept`: 403
            return
        await socket.accept()
        with logger.contextualize(call_sid=sid), suppress(WebSocketDisconnect, RuntimeError):
            session = await line.switchboard.find(sid)
            words = NOT_WITH_BOT if session is None else await elsewhere(line, sid, session)
            if session is not None and not words:
                words = await _join(session, visitor, socket)
            await close_with(socket, words)

    return router


async def _join(session: Session, visitor: Visitor, socket: WebSocket) -> str:
    """Let somebody talk with the caller. Returns why they do not any more, or did not at all."""
    at = session.now()
    await session.apply(SupervisorJoined(at=at, who=visitor.name))
    number = len(session.call.joins)
    if not _has(session.call, number) or session.call.joins[-1].at != at:
        return _why_not(session.call)
    ear = session.tap.join()
    if not session.talks:  # the stream ended while that was written
        ear.end()
    hearing = asyncio.create_task(_hear_supervisor(socket, session, number, ear))
    try:
        async with asyncio.timeout(visitor.until - time.time()):
            while (message := await ear.next()) is not None:
                if message.startswith(FROM_CALLER):
                    await socket.send_text(message)
                else:
                    ear.taken(1)  # their own voice
    except TimeoutError:
        return LOGGED_OUT
    finally:
        hearing.cancel()
        session.tap.leave(ear)
        session.post(SupervisorLeft(at=session.now(), join=number))
    return GONE_ON


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
