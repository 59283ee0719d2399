"""What Pipecat's runner brings: a Twilio media stream, an eval harness, or a browser."""

import json

from fastapi import WebSocket
from loguru import logger
from pipecat.evals.serializer import EvalConnectionFlags, parse_eval_connect
from pipecat.runner.types import SmallWebRTCRunnerArguments, WebSocketRunnerArguments
from pipecat.transports.base_transport import TransportParams
from pydantic import TypeAdapter, ValidationError

from bot.environment import read_environment
from bot.line import open_line
from bot.local.call import call_locally
from bot.local.desk import Desk
from bot.local.page import DESKS, PATH
from bot.settings import load_all
from bot.start import read_first, read_start


async def answer_browser(runner_args: SmallWebRTCRunnerArguments) -> None:
    """Lead a call with a browser, whose tester plays everybody who is rung on the control page."""
    from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport  # the dependency group `local`

    name = runner_args.session_id or str(id(runner_args))
    params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    desk = DESKS[name] = Desk()
    logger.info("who is rung is played on {} of this server", PATH)
    try:
        await call_locally(SmallWebRTCTransport(runner_args.webrtc_connection, params), desk, aloud=True)
    finally:
        del DESKS[name]


async def answer_socket(runner_args: WebSocketRunnerArguments) -> None:
    """Talk on a Twilio media stream, or with an eval harness where it is let in."""
    websocket = runner_args.websocket
    first = await read_first(websocket)
    flags = _eval_flags(first)
    if flags is None:
        await _answer_stream(websocket, first)
    elif _evals_allowed():
        from bot.local.eval import answer_eval  # what it imports needs more than a telephone does

        await answer_eval(websocket, flags, runner_args.body if isinstance(runner_args.body, dict) else {})
    else:
        logger.error("an eval harness is not let in: EVALS=on allows it to talk with this bot")
        await websocket.close()


async def _answer_stream(websocket: WebSocket, first: str | None) -> None:
    logger.warning("no signature and no token were checked: this socket may be anybody's")
    async with open_line(load_all()) as line:
        start = await read_start(websocket, first)
        if start is not None:
            await line.converse_unannounced(websocket, start)


def _eval_flags(first: str | None) -> EvalConnectionFlags | None:
    """What an eval harness says first; None for anything else."""
    try:
        return parse_eval_connect(json.loads(first or ""))
    except ValueError:
        return None


def _evals_allowed() -> bool:
    """Whether the setting `EVALS` lets a harness in."""
    try:
        return TypeAdapter(bool).validate_python(read_environment(None, ".env").values.get("EVALS", "off"))
    except ValidationError:
        return False
