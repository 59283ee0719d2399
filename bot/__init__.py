"""One call: what is known of it, the law of its life, and the edges through which facts come and orders leave.

`bot(runner_args)` is Pipecat's contract: its development runner and Pipecat Cloud call it with an accepted socket.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipecat.runner.types import RunnerArguments


async def bot(runner_args: "RunnerArguments") -> None:
    """Talk on a Twilio media stream that Pipecat's runner has accepted.

    The runner checks no signature and its document carries no token, so this is a way to develop, or to run where
    something in front has checked both. Callbacks of a hand-off go to `PUBLIC_URL`: a `python server.py` with the same
    `DATABASE_URL` answers them and knows the call.

    Args:
        runner_args: The runner's arguments, with a WebSocket on which Twilio has yet to say `start`.

    Raises:
        TypeError: The runner offers another transport than a WebSocket.
    """
    from loguru import logger  # here, so that the pure files below this package need nothing installed
    from pipecat.runner.types import WebSocketRunnerArguments

    from bot.line import open_line
    from bot.settings import load_all
    from bot.start import read_start

    if not isinstance(runner_args, WebSocketRunnerArguments):
        raise TypeError(f"a Twilio media stream is needed, not {type(runner_args).__name__}")
    logger.warning("no signature and no token were checked: this socket may be anybody's")
    async with open_line(load_all()) as line:
        start = await read_start(runner_args.websocket)
        if start is not None:
            await line.converse_unannounced(runner_args.websocket, start)
