"""The yardstick: the least that carries audio between Twilio and the model. `python -m bench.bare`.

No framework, no checks, no log, no account of what was heard. It is not a phone agent; it is what the sockets alone
cost in Python.
"""

import asyncio
import os
from http import HTTPStatus

import orjson
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

PORT = int(os.environ.get("PORT", "0"))
MODEL_URL = os.environ.get("OPENAI_REALTIME_URL", "") + "?model=bench"
SESSION = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "server_vad"}},
        "output": {"format": {"type": "audio/pcmu"}},
    },
}


class Web(asyncio.Protocol):
    """`GET /health` and `POST /twilio/voice` on connections that are kept, with nothing around them."""

    def __init__(self, media_url: str) -> None:
        """Answer calls with a stream to this address."""
        self._document = f'<Response><Connect><Stream url="{media_url}"/></Connect></Response>'.encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See the base class."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment] - a TCP server's always is one

    def data_received(self, data: bytes) -> None:
        """Requests are small and come one at a time: what comes first in a packet is a request's first line."""
        if data.startswith(b"GET /health"):
            self._answer(b"application/json", b'{"status":"ok"}')
        elif data.startswith(b"POST /twilio/voice"):
            self._answer(b"text/xml", self._document)

    def _answer(self, kind: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %d OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (HTTPStatus.OK, kind, len(body))
        self._transport.write(head + body)


async def relay(twilio: ServerConnection) -> None:
    """Carry one call's audio until either side ends it."""
    async with connect(MODEL_URL, compression=None, max_size=None, ping_interval=None) as model:
        to_model: asyncio.Task[None] | None = None
        try:
            while True:
                message = orjson.loads(await twilio.recv(decode=False))
                if message["event"] == "start":
                    to_model = asyncio.create_task(_from_model(model, twilio, message["start"]["streamSid"]))
                    await _send(model, {"type": "session.update", "session": SESSION})
                    await _send(model, {"type": "response.create"})
                elif message["event"] == "media":
                    await _send(model, {"type": "input_audio_buffer.append", "audio": message["media"]["payload"]})
                elif message["event"] == "stop":
                    return
        except ConnectionClosed:
            return
        finally:
            if to_model is not None:
                to_model.cancel()


async def _from_model(model: ClientConnection, twilio: ServerConnection, stream_sid: str) -> None:
    try:
        while True:
            event = orjson.loads(await model.recv(decode=False))
            if event["type"] == "response.output_audio.delta":
                await _send(twilio, {"event": "media", "streamSid": stream_sid, "media": {"payload": event["delta"]}})
            elif event["type"] == "input_audio_buffer.speech_started":
                await _send(twilio, {"event": "clear", "streamSid": stream_sid})
    except ConnectionClosed:
        return


async def _send(socket: ClientConnection | ServerConnection, message: dict[str, object]) -> None:
    await socket.send(orjson.dumps(message), text=True)


async def main() -> None:
    """Serve until killed."""
    async with serve(relay, "127.0.0.1", 0, compression=None, max_size=None, ping_interval=None) as sockets:
        port = next(iter(sockets.sockets)).getsockname()[1]
        media_url = f"ws://127.0.0.1:{port}/twilio/media"
        web = await asyncio.get_running_loop().create_server(lambda: Web(media_url), "127.0.0.1", PORT)
        await web.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
