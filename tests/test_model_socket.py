"""The socket to the model, against a real server: what is handled, what waits, what is dropped, and how it ends."""

import asyncio
import json
import socket as sockets
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from streams import until
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from pipelines import fast_socket, model_socket
from pipelines.model_socket import Handler, ModelRefused, ModelSocket

Serve = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def model(serving: Serve, **options: Any) -> AsyncIterator[str]:
    """A server that does this with its connections. Yields its address."""
    async with serve(serving, "127.0.0.1", 0, compression=None, max_size=None, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime?model=m"


@asynccontextmanager
async def connected(
    url: str,
    handlers: dict[str, Handler] | None = None,
    passed_on: tuple[str, ...] = ("wanted",),
) -> AsyncIterator[ModelSocket]:
    socket = await ModelSocket.connect(url, {"Authorization": "Bearer k"}, handlers=handlers or {}, passed_on=passed_on)
    try:
        yield socket
    finally:
        await socket.close()


async def all_of(socket: ModelSocket) -> list[Any]:
    """What waits for the pipeline, until the connection ends."""
    return [json.loads(message) async for message in socket]


def sends(*messages: str | bytes | list[str]) -> Serve:
    """A server that sends these, each when the one before was taken, and closes."""

    async def serving(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message)
            await (await connection.ping())

    return serving


def event(kind: str, **content: Any) -> str:
    return json.dumps({"type": kind, **content})


# --- who gets what ----------------------------------------------------------------------------------------


async def test_the_address_and_the_headers_reach_the_model():
    seen: list[Request | None] = []

    async def serving(connection: ServerConnection) -> None:
        seen.append(connection.request)

    async with model(serving) as url, connected(url) as socket:
        assert await all_of(socket) == []
    assert seen[0] is not None
    assert seen[0].path == "/v1/realtime?model=m"
    assert seen[0].headers["Authorization"] == "Bearer k"


async def test_handlers_run_in_the_order_of_the_socket_and_keep_what_is_theirs():
    handled: list[tuple[str, int]] = []

    def keep(event: dict[str, Any]) -> bool:
        handled.append(("audio", event["n"]))
        return True

    def look(event: dict[str, Any]) -> bool:
        handled.append(("done", event["n"]))
        return event["n"] == 9

    async def serving(connection: ServerConnection) -> None:
        for n in range(300):
            await connection.send(event("audio" if n % 3 else "done", n=n))

    async with model(serving) as url:
        async with connected(url, {"audio": keep, "done": look}, ("audio", "done")) as socket:
            waiting = await all_of(socket)
    assert [n for _, n in handled] == list(range(300))
    assert waiting == [{"type": "done", "n": n} for n in range(0, 300, 3) if n != 9]


async def test_an_event_that_nobody_listed_is_dropped_but_its_handler_sees_it():
    seen: list[Any] = []

    def look(event: dict[str, Any]) -> bool:
        seen.append(event)
        return False

    messages = [event("unknown"), event("handled"), event("wanted", n=1), event(""), event("wanted", n=2)]
    async with model(sends(*messages)) as url, connected(url, {"handled": look}) as socket:
        assert await all_of(socket) == [{"type": "wanted", "n": 1}, {"type": "wanted", "n": 2}]
    assert seen == [{"type": "handled"}]


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        '"wanted"',
        "{}",
        '{"type": null}',
        '{"type": 7}',
        '{"type": {}}',
        '{"type": ["wanted"]}',
        "[" * 100_000,
        b"\xff\xfe",
        bytes(100_000),
    ],
)
async def test_what_is_no_event_is_passed_over(nonsense: str | bytes):
    async with model(sends(nonsense, event("wanted"))) as url, connected(url) as socket:
        assert await all_of(socket) == [{"type": "wanted"}]


@pytest.mark.parametrize(
    "mistake", [KeyError("delta"), TypeError("int"), ValueError("base64"), AttributeError("x"), IndexError(), OSError()]
)
async def test_an_event_that_its_handler_cannot_read_is_passed_over(mistake: Exception):
    def fails(_: dict[str, Any]) -> bool:
        raise mistake

    messages = [event("audio"), event("wanted")]
    async with model(sends(*messages)) as url, connected(url, {"audio": fails}, ("audio", "wanted")) as socket:
        assert await all_of(socket) == [{"type": "wanted"}]


async def test_a_message_in_fragments_is_one_message():
    text = event("wanted", text="ä" * 50_000)
    parts = [text[i : i + 9_973] for i in range(0, len(text), 9_973)]
    async with model(sends(parts, event("wanted", n=2))) as url, connected(url) as socket:
        assert await all_of(socket) == [json.loads(text), {"type": "wanted", "n": 2}]


async def test_an_event_of_megabytes_passes():
    async with model(sends(event("wanted", text="x" * 5_000_000))) as url, connected(url) as socket:
        [only] = await all_of(socket)
    assert len(only["text"]) == 5_000_000


@pytest.mark.parametrize("fragments", [False, True])
async def test_an_event_without_end_ends_the_socket_and_not_the_memory(fragments: bool):
    size = fast_socket.LARGEST_MESSAGE + 1_000_000
    sent = 0

    async def serving(connection: ServerConnection) -> None:
        async def parts() -> AsyncIterator[str]:
            nonlocal sent
            for _ in range(400):
                sent += 1_000_000
                yield "x" * 1_000_000

        await connection.send(parts() if fragments else "x" * size)

    async with model(serving) as url, connected(url) as socket:
        assert await all_of(socket) == []
        assert socket.ended
    assert sent < 2 * size


async def test_what_is_sent_arrives_in_order_and_a_ping_is_answered():
    got: list[str | bytes] = []

    async def serving(connection: ServerConnection) -> None:
        await (await connection.ping())
        got.extend([await connection.recv() for _ in range(200)])

    async with model(serving) as url, connected(url) as socket:
        for n in range(100):
            socket.send_now(f"now {n}".encode())
            await socket.send(f"awaited {n}")
        await all_of(socket)
    assert got == [text for n in range(100) for text in (f"now {n}", f"awaited {n}")]


# --- how it ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [
        (1000, "", "1000"),
        (1001, "going away", "1001 going away"),
        (1011, "internal error", "1011 internal error"),
        (3000, "unauthorised", "3000 unauthorised"),
        (4001, "session expired", "4001 session expired"),
    ],
)
async def test_the_code_with_which_the_model_closes_is_told(code: int, reason: str, told: str):
    async def serving(connection: ServerConnection) -> None:
        await connection.send(event("wanted"))
        await connection.close(code, reason)

    async with model(serving) as url, connected(url) as socket:
        assert await all_of(socket) == [{"type": "wanted"}]
        assert socket.ended == f"closed by the peer: {told}"
        assert await all_of(socket) == []  # it stays ended


async def test_a_connection_that_is_reset_is_told():
    async def serving(connection: ServerConnection) -> None:
        raw = connection.transport.get_extra_info("socket")
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        connection.transport.abort()

    async with model(serving) as url, connected(url) as socket:
        assert await all_of(socket) == []
        assert socket.ended == "the connection broke"


async def test_our_own_close_is_told_to_the_model_and_what_is_sent_afterwards_is_lost():
    codes: list[int | None] = []

    async def serving(connection: ServerConnection) -> None:
        await connection.wait_closed()
        codes.append(connection.close_code)

    async with model(serving) as url, connected(url) as socket:
        socket.send_now(b"last words")
        await socket.close()
        socket.send_now(b"too late")
        await socket.close()
        assert await all_of(socket) == []
        assert socket.ended == "closed by us"
        await until(lambda: codes)
    assert codes == [1000]


async def test_a_close_has_an_end_also_when_the_model_does_not_answer_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fast_socket, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(fast_socket, "STALL_SECONDS", 1000)
    released = asyncio.Event()

    async def serving(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await released.wait()

    async with model(serving, close_timeout=0.1) as url, connected(url) as socket:
        for _ in range(200):
            socket.send_now(b"x" * 100_000)
        await socket.close()
        assert await all_of(socket) == []
        released.set()


async def test_a_peer_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fast_socket, "STALL_SECONDS", 0.2)
    released = asyncio.Event()

    async def serving(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await released.wait()

    async with model(serving, close_timeout=0.1) as url, connected(url) as socket:
        for _ in range(200):
            socket.send_now(b"x" * 100_000)
        assert await all_of(socket) == []
        assert socket.ended is not None
        assert "has taken nothing" in socket.ended
        released.set()


async def test_a_peer_that_reads_slowly_is_not_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fast_socket, "STALL_SECONDS", 1.5)
    got: list[int] = []

    async def serving(connection: ServerConnection) -> None:
        for _ in range(40):
            await asyncio.sleep(0.05)
            got.append(len(await connection.recv()))

    async with model(serving) as url, connected(url) as socket:
        for _ in range(40):
            socket.send_now(b"x" * 1_000_000)
        await all_of(socket)
        assert socket.ended is not None
        assert "1000" in socket.ended
    assert got == [1_000_000] * 40


# --- a model that does not open -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_a_refused_handshake_is_told_with_its_status(status: int):
    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(status, "no")

    async with model(sends(), process_request=refuse) as url:
        with pytest.raises(ModelRefused, match=f"HTTP {status}"):
            await ModelSocket.connect(url, {}, handlers={}, passed_on=())


@pytest.mark.parametrize("answers", [b"", b"HTTP/1.1 101 Swit"])
async def test_a_handshake_that_never_ends_is_a_timeout_and_leaves_no_connection(
    monkeypatch: pytest.MonkeyPatch, answers: bytes
):
    monkeypatch.setattr(model_socket, "OPEN_SECONDS", 0.2)
    ended = asyncio.Event()

    async def serving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers)
        while await reader.read(1000):
            pass
        ended.set()
        writer.close()

    async with await asyncio.start_server(serving, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            await ModelSocket.connect(f"ws://127.0.0.1:{port}/", {}, handlers={}, passed_on=())
        await ended.wait()


async def test_something_that_is_no_websocket_at_all_is_an_os_error():
    async def serving(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serving, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError):
            await ModelSocket.connect(f"ws://127.0.0.1:{port}/", {}, handlers={}, passed_on=())


async def test_a_port_where_nobody_listens_is_an_os_error():
    with sockets.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(OSError):
        await ModelSocket.connect(f"ws://127.0.0.1:{port}/", {}, handlers={}, passed_on=())
