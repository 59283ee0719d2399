"""A call that Pipecat's eval harness leads: in text, and with nobody to ask how people behave."""

from typing import Any

from fastapi import WebSocket
from pipecat.evals.fastapi_transport import EvalFastAPIWebsocketTransport
from pipecat.evals.serializer import EvalConnectionFlags, EvalSerializer
from pipecat.evals.transport import EvalTransportParams

from bot.local.call import call_locally
from bot.local.desk import Act, Habits


async def answer_eval(websocket: WebSocket, flags: EvalConnectionFlags, body: dict[str, Any]) -> None:
    """Lead a call in text.

    Args:
        websocket: The harness's.
        flags: What it asks for.
        body: What the runner was given with `--runner-body`. `pipeline`: which pipeline is tested. `people`: what
            everybody does who is rung; nothing by default, so that nobody ever answers.
    """
    params = EvalTransportParams(audio_out_enabled=True, serializer=EvalSerializer())
    transport = EvalFastAPIWebsocketTransport(websocket, params, flags)
    settings = {"PIPELINE": str(body["pipeline"])} if "pipeline" in body else {}
    await call_locally(transport, Habits(*map(Act, body.get("people", ()))), aloud=False, **settings)
