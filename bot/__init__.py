"""One call: what is known of it, the law of its life, and the edges through which facts come and orders leave.

`bot(runner_args)` is Pipecat's contract: its development runner and Pipecat Cloud call it with an accepted socket.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipecat.runner.types import RunnerArguments


async def bot(runner_args: "RunnerArguments") -> None:
    """Lead one call that Pipecat's runner has accepted.

    On a Twilio media stream the runner checks no signature and its document carries no token, so this is a way to
    develop, or to run where something in front has checked both. Callbacks of a hand-off go to `PUBLIC_URL`: a
    `python server.py` with the same `DATABASE_URL` answers them and knows the call. From a browser, and from an eval
    harness where `EVALS` allows it, the call is led without Twilio.

    Args:
        runner_args: The runner's arguments, with a WebSocket on which nothing was said yet, or a WebRTC connection.

    Raises:
        TypeError: The runner offers another transport.
    """
    # Here, so that the pure files below this package need nothing installed.
    from pipecat.runner.types import SmallWebRTCRunnerArguments, WebSocketRunnerArguments

    from bot.runner import answer_browser, answer_socket

    match runner_args:
        case SmallWebRTCRunnerArguments():
            await answer_browser(runner_args)
        case WebSocketRunnerArguments():
            await answer_socket(runner_args)
        case _:
            raise TypeError(f"a Twilio media stream or a browser is needed, not {type(runner_args).__name__}")
