"""Messages and recordings of calls, passed on from Twilio to a supervisor's browser. Nothing of them is kept."""

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from loguru import logger
from starlette.types import Receive, Scope, Send

from bot.call import Call
from bot.ledger import LedgerError
from bot.line import Line
from bot.recordings import Recordings
from bot.telephony import TelephonyError
from web.console.access import Visitor
from web.console.console import Console
from web.console.gate import CallSid, Gate, Refused

CHUNK_BYTES = 64 * 1024

Number = Annotated[int, Path(ge=1, le=1000)]

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def playing(line: Line, console: Console, gate: Gate) -> APIRouter:
    """Make the routes from which the players on a call's page are fed.

    Args:
        line: Whose recordings they are.
        console: Reads the record.
        gate: Who gets in.
    """
    router = APIRouter(include_in_schema=False)
    asking = Depends(gate.visitor)

    async def recorded(sid: str, visitor: Visitor) -> Call | None:
        if not visitor.may_act:
            raise Refused(403, "Viewers do not listen", "Messages and recordings of calls are for supervisors.")
        try:
            record = await console.record(sid)
        except LedgerError as error:
            raise Refused(503, "Not now", "The record cannot be read now. Calls go on.") from error
        return None if record is None else record.stored.call

    @router.get("/console/calls/{sid}/message")
    async def message(sid: CallSid, request: Request, visitor: Visitor = asking) -> Response:
        call = await recorded(sid, visitor)
        left = None if call is None else call.message
        if left is None or not left.url:
            raise Refused(404, "No message", "The caller left no message, or it has been deleted.")
        return PassedOn(line.recordings, left.url, request.headers.get("range", ""))

    @router.get("/console/calls/{sid}/recordings/{number}")
    async def recording(sid: CallSid, number: Number, request: Request, visitor: Visitor = asking) -> Response:
        call = await recorded(sid, visitor)
        known = () if call is None else call.recordings
        if number > len(known) or not known[number - 1].ready:
            raise Refused(404, "No recording", "There is no such recording of this call, or it has been deleted.")
        return PassedOn(line.recordings, known[number - 1].url, request.headers.get("range", ""))

    return router


class PassedOn(Response):
    """A recording, as it comes from Twilio. A browser that jumps asks for a part, whether Twilio knows parts or not."""

    def __init__(self, recordings: Recordings, address: str, byte_range: str) -> None:
        """Nothing is fetched before the answer is sent.

        Args:
            recordings: Where it is.
            address: Twilio's `RecordingUrl`.
            byte_range: The header `Range`; what is none counts as nothing.
        """
        super().__init__()
        self._recordings = recordings
        self._address = address
        self._range = byte_range if _RANGE.fullmatch(byte_range) and byte_range != "bytes=-" else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. It ends when the browser has gone."""
        sending = asyncio.create_task(self._send(scope, receive, send))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
        if not sending.cancelled():
            sending.result()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False
        try:
            async with self._recordings.stream(self._address, self._range) as answer:
                status, headers, skip, left = _part(answer.status, answer.headers, self._range)
                raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
                await send({"type": "http.response.start", "status": status, "headers": raw})
                begun = True
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    piece, skip = chunk[skip:], max(skip - len(chunk), 0)
                    piece = piece if left is None else piece[:left]
                    left = None if left is None else left - len(piece)
                    if piece:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                    if left == 0:
                        break
                await send({"type": "http.response.body", "body": b""})
        except TelephonyError as error:
            logger.warning("a recording cannot be played: {}", error)
            if not begun:  # else the browser sees that it is not whole, and asks for the rest
                await Response("Twilio does not give the recording now.", 502)(scope, receive, send)


def _part(status: int, told: Mapping[str, str], byte_range: str) -> tuple[int, dict[str, str], int, int | None]:
    """The answer's status and headers, how many bytes are left out at first, and how many follow (None: all)."""
    headers = {"Content-Type": "audio/wav", "Accept-Ranges": "bytes"}
    if "Content-Range" in told:
        headers["Content-Range"] = told["Content-Range"]
    size = int(told.get("Content-Length", -1))
    asked = _RANGE.fullmatch(byte_range)
    if status != 200 or asked is None or size < 0:
        if size >= 0:
            headers["Content-Length"] = str(size)
        return status, headers, 0, None
    first, last = asked.groups()
    begin = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if begin > end:
        return 416, headers | {"Content-Range": f"bytes */{size}", "Content-Length": "0"}, 0, 0
    headers |= {"Content-Range": f"bytes {begin}-{end}/{size}", "Content-Length": str(end - begin + 1)}
    return 206, headers, begin, end - begin + 1


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
