"""The media socket in a real uvicorn: ours, and uvicorn's own behind the same `Wire`."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from starlette.websockets import WebSocketDisconnect
from streams import settled, until
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from bot import wire as wires
from bot.wire import WebSocketWire, Wire, wire_of
from pipelines import fast_socket
from web.media_socket import MediaSocket, MediaSocketProtocol

Serve = Callable[[WebSocket], Awaitable[None]]

both = pytest.mark.parametrize("protocol", [MediaSocketProtocol, WebSocketsSansIOProtocol])
"""What our socket promises, the fallback promises too."""

ours = pytest.mark.parametrize("protocol", [MediaSocketProtocol])


class Server:
    """A uvicorn with one WebSocket route."""

    def __init__(self, uvicorn_server: uvicorn.Server) -> None:
        self.uvicorn = uvicorn_server
        port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/media"
        self.port = port

    @property
    def idle(self) -> bool:
        """Whether no connection and no task of one is left."""
        state = self.uvicorn.server_state
        return not state.connections and not state.tasks


@asynccontextmanager
async def server(protocol: type, serve: Serve) -> AsyncIterator[Server]:
    app = FastAPI()

    @app.websocket("/media")
    async def media(websocket: WebSocket) -> None:
        await serve(websocket)

    config = uvicorn.Config(
        app, port=0, log_config=None, access_log=False, ws=protocol, ws_per_message_deflate=False, lifespan="off"
    )
    running = uvicorn.Server(config)
    running.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(running.serve())
    await until(lambda: running.started)
    made = Server(running)
    try:
        yield made
        await until(lambda: made.idle)
    finally:
        running.should_exit = True
        await task


@asynccontextmanager
async def client(url: str, **options: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0, **options) as socket:
        yield socket


async def echo(websocket: WebSocket) -> None:
    """Sends back what comes, until the socket ends."""
    await websocket.accept()
    wire = wire_of(websocket)

    def back(data: str | bytes) -> None:
        wire.send(data if isinstance(data, str) else f"{len(data)} bytes")

    await wire.receive(back)
    await wire.close()


# --- the handshake ------------------------------------------------------------------------------------------


@both
async def test_a_socket_that_is_closed_before_it_is_accepted_is_refused_with_403(protocol: type):
    async def refuse(websocket: WebSocket) -> None:
        await websocket.close()

    async with server(protocol, refuse) as served:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with client(served.url):
                pass
        assert refused.value.status == 403


@both
async def test_an_application_that_fails_before_it_accepts_answers_500(protocol: type):
    async def fail(websocket: WebSocket) -> None:
        raise RuntimeError("a mistake")

    async with server(protocol, fail) as served:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with client(served.url):
                pass
        assert refused.value.status == 500


@pytest.mark.parametrize(
    ("protocol", "kind"), [(MediaSocketProtocol, MediaSocket), (WebSocketsSansIOProtocol, WebSocketWire)]
)
async def test_the_wire_of_a_socket_is_the_best_that_its_server_has(protocol: type, kind: type):
    kinds: list[type] = []

    async def look(websocket: WebSocket) -> None:
        await websocket.accept()
        wire = wire_of(websocket)
        kinds.append(type(wire))
        await wire.close()

    async with server(protocol, look) as served, client(served.url) as socket:
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert kinds == [kind]


@ours
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_long_request_and_the_frames_of_a_client_that_does_not_wait_for_the_answer_are_read(
    protocol: type, in_pieces: bool
):
    got: list[Any] = []

    async def take(websocket: WebSocket) -> None:
        await asyncio.sleep(0.1)  # the frames are here before the application has accepted
        await websocket.accept()
        got.append(await websocket.receive())
        await wire_of(websocket).receive(got.append)

    request = (
        b"GET /media HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"X-Long: " + b"a" * 6000 + b"\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    frames = b"".join(b"\x81\x82\x00\x00\x00\x00" + text for text in (b"m1", b"m2", b"m3"))
    async with server(protocol, take) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        for part in [request[:100], request[100:5000], request[5000:]] if in_pieces else [request]:
            writer.write(part)
            await settled()
        writer.write(frames)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # RFC 6455's own example
        writer.write(b"\x81\x82\x00\x00\x00\x00m4")
        await until(lambda: len(got) == 4)
        writer.close()
    assert [got[0]["text"], *got[1:]] == ["m1", "m2", "m3", "m4"]


@both
@pytest.mark.parametrize("after", [0.0, 0.1])
async def test_a_client_that_leaves_before_it_is_accepted_leaves_nothing(protocol: type, after: float):
    over = asyncio.Event()

    async def late(websocket: WebSocket) -> None:
        try:
            await asyncio.sleep(after)
            await websocket.accept()
            await wire_of(websocket).receive(lambda _: None)
        except WebSocketDisconnect:
            pass
        finally:
            over.set()

    async with server(protocol, late) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            b"GET /media HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await asyncio.sleep(0.02)
        writer.transport.abort()
        await over.wait()


# --- messages -----------------------------------------------------------------------------------------------


@both
async def test_messages_come_and_go_in_order_whatever_they_are(protocol: type):
    async with server(protocol, echo) as served, client(served.url) as socket:
        texts = [json.dumps({"n": n, "ä": "€" * (n % 700)}) for n in range(500)]
        for text in texts:
            await socket.send_str(text)
        await socket.send_bytes(b"\x00\xff")
        await socket.send_str("")
        back = [(await socket.receive()).data for _ in range(502)]
    assert back == [*texts, "2 bytes", ""]


@both
async def test_messages_that_come_before_anybody_takes_them_are_kept_in_order(protocol: type):
    got: list[str | bytes] = []

    async def late(websocket: WebSocket) -> None:
        await websocket.accept()
        got.append((await websocket.receive())["text"])
        got.append((await websocket.receive())["text"])
        await asyncio.sleep(0.1)
        wire = wire_of(websocket)
        await wire.receive(got.append)

    async with server(protocol, late) as served, client(served.url) as socket:
        for n in range(60):
            await socket.send_str(f"{n}")
        await until(lambda: len(got) > 2)
        for n in range(60, 70):
            await socket.send_str(f"{n}")
        await until(lambda: len(got) == 70)
    assert got == [f"{n}" for n in range(70)]


@both
async def test_all_that_came_before_the_end_is_taken_also_when_the_end_is_here_already(protocol: type):
    got: list[str | bytes] = []

    async def late(websocket: WebSocket) -> None:
        await websocket.accept()
        await asyncio.sleep(0.1)
        wire = wire_of(websocket)
        await wire.receive(got.append)
        await wire.close()

    async with server(protocol, late) as served:
        async with client(served.url) as socket:
            await socket.send_str("one")
            await socket.send_str("stop")
        await until(lambda: len(got) == 2)
    assert got == ["one", "stop"]


@both
async def test_a_message_of_1_mb_passes_both_ways(protocol: type):
    async with server(protocol, echo) as served, client(served.url) as socket:
        await socket.send_str("x" * 1_000_000)
        assert (await socket.receive()).data == "x" * 1_000_000


@both
@pytest.mark.parametrize("fragments", [False, True])
async def test_a_message_of_17_mb_ends_the_socket(protocol: type, fragments: bool):
    got: list[str | bytes] = []

    async def take(websocket: WebSocket) -> None:
        await websocket.accept()
        wire = wire_of(websocket)
        await wire.receive(got.append)
        await wire.close()

    async with server(protocol, take) as served, client(served.url) as socket:
        with suppress(ConnectionError, aiohttp.ClientError):  # it may end before all is sent
            if fragments:
                writer = socket._writer
                for n in range(17):
                    opcode = aiohttp.WSMsgType.CONTINUATION if n else aiohttp.WSMsgType.TEXT
                    await send_part(writer, b"x" * 1_000_000, opcode)
            else:
                await socket.send_str("x" * 17_000_000)
        while not socket.closed:
            await socket.receive()
    assert got == []


async def test_a_message_that_is_too_big_is_none_also_where_it_comes_whole_before_the_socket_has_ended():
    """picows goes on reading for a moment when it has refused a frame, and takes the frame in the end."""

    class Frame:
        msg_type, fin = aiohttp.WSMsgType.TEXT, True

        def get_payload_as_bytes(self) -> bytes:
            return b"x"

    class Transport:
        is_close_frame_sent = True

    got: list[bytes] = []
    socket = MediaSocket(on_end=lambda: None)
    socket._reader = got.append  # type: ignore[assignment]
    socket.on_ws_frame(Transport(), Frame())  # type: ignore[arg-type]
    assert got == []


async def send_part(writer: Any, part: bytes, opcode: int) -> None:
    """A frame that is not the last of its message; masked with zeros."""
    size = bytes([0x80 | len(part)]) if len(part) < 126 else bytes([0x80 | 127]) + len(part).to_bytes(8, "big")
    writer.transport.write(bytes([opcode]) + size + bytes(4) + part)
    await asyncio.sleep(0.01)


@ours
async def test_a_message_in_fragments_is_one_message(protocol: type):
    async with server(protocol, echo) as served, client(served.url) as socket:
        await send_part(socket._writer, b"one ", 1)
        await send_part(socket._writer, b"two ", 0)
        socket._writer.transport.write(b"\x80\x85\x00\x00\x00\x00three")
        assert (await socket.receive()).data == "one two three"


@both
async def test_a_message_that_is_no_text_harms_nobody(protocol: type):
    async with server(protocol, echo) as served:
        async with client(served.url) as socket:
            socket._writer.transport.write(b"\x81\x82\x00\x00\x00\x00\xff\xfe")
            await socket.send_str("and on")
            await socket.receive()
        async with client(served.url) as socket:
            await socket.send_str("another")
            assert (await socket.receive()).data == "another"


# --- the end ------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_end_from_the_other_side_ends_receiving(protocol: type, how: str):
    ends: list[None] = []

    async def take(websocket: WebSocket) -> None:
        await websocket.accept()
        wire = wire_of(websocket)
        await wire.receive(lambda _: None)
        wire.send("lost")
        await wire.close()
        wire.send("lost too")
        ends.append(None)

    async with server(protocol, take) as served:
        async with client(served.url) as socket:
            await socket.send_str("hello")
            await settled()
            if how == "abort":
                socket._writer.transport.abort()
        await until(lambda: ends)


@both
async def test_our_own_end_comes_behind_everything_that_was_sent(protocol: type):
    async def speak(websocket: WebSocket) -> None:
        await websocket.accept()
        wire = wire_of(websocket)
        receiving = asyncio.create_task(wire.receive(lambda _: None))
        for n in range(1000):
            wire.send(f"{n} " + "x" * 300)
        await wire.close()
        await wire.close()
        await receiving

    async with server(protocol, speak) as served, client(served.url) as socket:
        got = [await socket.receive() for _ in range(1001)]
    assert [message.data.split()[0] for message in got[:-1]] == [str(n) for n in range(1000)]
    assert (got[-1].type, got[-1].data) == (aiohttp.WSMsgType.CLOSE, 1000)


@both
async def test_an_application_that_returns_closes_its_socket(protocol: type):
    async def close(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    async with server(protocol, close) as served, client(served.url) as socket:
        assert (await socket.receive()).data == "hello"
        closed = await socket.receive()
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1000)


@both
async def test_an_application_that_fails_while_it_talks_ends_its_socket(protocol: type):
    async def fail(websocket: WebSocket) -> None:
        await websocket.accept()
        raise RuntimeError("a mistake")

    async with server(protocol, fail) as served, client(served.url) as socket:
        ending = await socket.receive()
        assert ending.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


@both
async def test_a_server_that_ends_closes_its_sockets_with_1012_and_lets_their_ends_be_told(protocol: type):
    ends: list[None] = []

    async def take(websocket: WebSocket) -> None:
        await websocket.accept()
        wire = wire_of(websocket)
        await wire.receive(lambda _: None)
        await wire.close()
        ends.append(None)

    async with server(protocol, take) as served, client(served.url, autoclose=False) as socket:
        await socket.send_str("hello")
        await until(lambda: served.uvicorn.server_state.connections)
        await settled()
        served.uvicorn.should_exit = True
        closed = await socket.receive()
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1012)
        await socket.close()
        await until(lambda: ends)


@ours
async def test_a_client_that_takes_nothing_is_given_up(protocol: type, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fast_socket, "STALL_SECONDS", 0.2)
    ends: list[None] = []

    async def flood(websocket: WebSocket) -> None:
        await websocket.accept()
        wire = wire_of(websocket)
        receiving = asyncio.create_task(wire.receive(lambda _: None))
        for _ in range(300):
            wire.send("x" * 100_000)
        await receiving
        ends.append(None)

    async with server(protocol, flood) as served, client(served.url) as socket:
        transport = socket._conn.transport
        transport.pause_reading()
        await until(lambda: ends)
        transport.abort()


async def test_the_fallback_gives_up_a_client_that_takes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wires, "WAITING_MESSAGES", 20)
    made: list[Wire] = []
    over = asyncio.Event()

    async def flood(websocket: WebSocket) -> None:
        await websocket.accept()
        wire = wire_of(websocket)
        made.append(wire)
        receiving = asyncio.create_task(wire.receive(lambda _: None))
        for _ in range(300):
            wire.send("x" * 100_000)
            await asyncio.sleep(0)
        await over.wait()
        await wire.close()
        receiving.cancel()

    async with server(WebSocketsSansIOProtocol, flood) as served, client(served.url) as socket:
        socket._conn.transport.pause_reading()
        await until(lambda: made and made[0]._writer.done())  # type: ignore[attr-defined]
        over.set()
        socket._conn.transport.abort()
