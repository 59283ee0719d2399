"""Orders to Twilio over real sockets: what is sent, how often, and what each answer is called."""

import asyncio
import base64
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from loguru import logger

from bot.telephony import Ambiguous, CallGone, Refused, Telephony, TelephonyError, Unavailable
from bot.twilio_rest import TwilioTelephony

pytestmark = pytest.mark.filterwarnings("error")

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
CALL = "CAfedcba9876543210fedcba9876543210"
SECRET = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"
DIAL = "<Response><Dial><Number>+12025550143</Number></Dial></Response>"
CALLS_PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json"

CALL_RESOURCE = {
    "sid": CALL,
    "account_sid": ACCOUNT,
    "status": "in-progress",
    "direction": "inbound",
    "date_created": "Tue, 31 Aug 2010 20:36:28 +0000",
    "duration": None,
}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(status: int, body: object, headers: dict[str, str] | None = None) -> Answer:
    """Answer with a status and a body: a string as HTML, anything else as JSON."""
    kind = "text/html" if isinstance(body, str) else "application/json"
    text = body if isinstance(body, str) else json.dumps(body)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=kind, headers=headers)

    return answer


def error(status: int, code: int, headers: dict[str, str] | None = None) -> Answer:
    """Answer in the form of Twilio's REST errors."""
    body = {
        "code": code,
        "message": f"Message of\n{code}",
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return says(status, body, headers)


def problem(status: int, code: int, *, told_status: int | None = None) -> Answer:
    """Answer in the form of RFC 9457, as Twilio's newer services do."""
    body = {
        "type": f"https://www.twilio.com/docs/errors/{code}",
        "title": "A title",
        "status": told_status or status,
        "code": code,
        "detail": f"Detail of {code}",
    }
    return says(status, body)


OK = says(200, CALL_RESOURCE)
TOO_MANY = error(429, 20429)


async def closes_without_answering(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def breaks_off_in_the_answer(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b'{"sid":')
    assert request.transport is not None
    request.transport.close()
    return answer


@dataclass
class Received:
    """One request as it arrived."""

    method: str
    path: str
    form: list[tuple[str, str]]
    authorization: str
    connection: object
    at: float


@dataclass
class Twilio:
    """Gives its answers one after the other, the last one for ever, and keeps what it was sent."""

    url: str = ""
    answers: list[Answer] = field(default_factory=lambda: [OK])
    received: list[Received] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = parse_qsl((await request.read()).decode(), keep_blank_values=True)
        assert request.transport is not None
        self.received.append(
            Received(
                method=request.method,
                path=request.raw_path,
                form=form,
                authorization=request.headers.get("Authorization", ""),
                connection=request.transport.get_extra_info("peername"),
                at=asyncio.get_running_loop().time(),
            )
        )
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    async def never_answers(self, request: web.Request) -> web.StreamResponse:
        await self.over.wait()
        return web.Response()

    async def drips(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not self.over.is_set() and not request.transport.is_closing():  # type: ignore[union-attr]
            await answer.write(b" ")
            await asyncio.sleep(0.1)
        return answer


@pytest.fixture
async def twilio() -> AsyncIterator[Twilio]:
    twilio = Twilio()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", twilio.handle)
    async with TestServer(app) as server:
        twilio.url = str(server.make_url("/"))
        yield twilio
        twilio.over.set()


@pytest.fixture
async def telephony(twilio: Twilio) -> AsyncIterator[Telephony]:
    async with TwilioTelephony(ACCOUNT, auth_token=SECRET, api_url=twilio.url) as telephony:
        yield telephony


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


# What is sent


async def test_a_redirect_is_one_post_of_the_document_to_the_call(twilio, telephony):
    await telephony.redirect(CALL, DIAL)
    (request,) = twilio.received
    assert (request.method, request.path) == ("POST", CALLS_PATH)
    assert request.form == [("Twiml", DIAL)]
    assert request.authorization == basic(ACCOUNT, SECRET)


async def test_a_document_arrives_as_it_was_written(twilio, telephony):
    document = "<Response><Say>Zoë &amp; Co: 100% sure + ☎\n</Say></Response>"
    await telephony.redirect(CALL, document)
    assert twilio.received[0].form == [("Twiml", document)]


async def test_a_hang_up_is_one_post_of_completed(twilio, telephony):
    await telephony.hang_up(CALL)
    (request,) = twilio.received
    assert (request.method, request.path) == ("POST", CALLS_PATH)
    assert request.form == [("Status", "completed")]


async def test_an_announcement_is_one_post_of_its_address_to_the_conference(twilio, telephony):
    conference = f"CF{5:032x}"
    await telephony.announce(conference, "https://bot.example/words?attempt=1")
    (request,) = twilio.received
    assert (request.method, request.path) == (
        "POST",
        f"/2010-04-01/Accounts/{ACCOUNT}/Conferences/{conference}.json",
    )
    assert request.form == [("AnnounceUrl", "https://bot.example/words?attempt=1")]
    with pytest.raises(ValueError, match="ConferenceSid"):
        await telephony.announce("../Calls", "https://bot.example/words")


async def test_the_status_is_read_from_the_call(twilio, telephony):
    assert await telephony.status(CALL) == "in-progress"
    (request,) = twilio.received
    assert (request.method, request.path) == ("GET", CALLS_PATH)


async def test_an_api_key_signs_in_for_the_account(twilio):
    key = ("SK0123456789abcdef0123456789abcdef", "key-secret")
    async with TwilioTelephony(ACCOUNT, auth_token=SECRET, api_key=key, api_url=twilio.url) as telephony:
        await telephony.hang_up(CALL)
    (request,) = twilio.received
    assert request.path == CALLS_PATH
    assert request.authorization == basic(*key)


async def test_the_librarys_own_environment_variables_change_nothing(twilio, monkeypatch):
    for name in ("TWILIO_EDGE", "TWILIO_REGION", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"):
        monkeypatch.setenv(name, "elsewhere")
    async with TwilioTelephony(ACCOUNT, auth_token=SECRET, api_url=twilio.url) as telephony:
        await telephony.hang_up(CALL)
    assert twilio.received[0].authorization == basic(ACCOUNT, SECRET)


async def test_orders_share_a_connection(twilio, telephony):
    await telephony.status(CALL)
    await telephony.redirect(CALL, DIAL)
    assert len({request.connection for request in twilio.received}) == 1


@pytest.mark.parametrize(
    "sid",
    ["", "CA123", f"{CALL}\n", f"{CALL}/../..", CALL.lower(), "CA" + "g" * 32, ACCOUNT, f" {CALL}"],
)
async def test_what_is_not_a_call_sid_never_gets_into_a_url(twilio, telephony, sid):
    for order in (telephony.redirect(sid, DIAL), telephony.hang_up(sid), telephony.status(sid)):
        with pytest.raises(ValueError, match="CallSid"):
            await order
    assert twilio.received == []


async def test_a_document_of_4000_characters_is_sent(twilio, telephony):
    await telephony.redirect(CALL, DIAL.ljust(4_000))
    assert len(twilio.received) == 1


async def test_a_document_of_4001_characters_is_refused_before_it_is_sent(twilio, telephony):
    with pytest.raises(Refused) as refusal:
        await telephony.redirect(CALL, DIAL.ljust(4_001))
    assert (refusal.value.code, refusal.value.status) == (32018, None)
    assert twilio.received == []


# What an answer is called


@pytest.mark.parametrize(
    ("answer", "kind", "code", "status"),
    [
        (error(404, 20404), CallGone, 20404, 404),
        (error(400, 21220), CallGone, 21220, 400),
        (problem(404, 20404), CallGone, 20404, 404),
        (error(401, 20003), Refused, 20003, 401),
        (error(400, 21205), Refused, 21205, 400),
        (problem(400, 20001), Refused, 20001, 400),
        (says(404, "<html>no such page</html>"), Refused, None, 404),
        (says(403, {"code": "forbidden"}), Refused, None, 403),
        (error(500, 20500), Ambiguous, 20500, 500),
        (problem(503, 20503), Ambiguous, 20503, 503),
        (problem(500, 20001, told_status=400), Ambiguous, 20001, 500),
        (says(502, "<html>Bad Gateway</html>"), Ambiguous, None, 502),
        (says(500, [1]), Ambiguous, None, 500),
        (says(307, "moved", {"Location": "/elsewhere"}), Ambiguous, None, 307),
        (says(200, "<html>hello</html>"), Ambiguous, None, 200),
        (says(200, ["a list"]), Ambiguous, None, 200),
        (says(200, None), Ambiguous, None, 200),
        (says(200, CALL_RESOURCE | {"date_created": 7}), Ambiguous, None, 200),
        (
            says(200, CALL_RESOURCE | {"start_time": "Tue, 99 Aug 2010 20:36:28"}),
            Ambiguous,
            None,
            200,
        ),
    ],
)
async def test_an_answer_is_named_and_the_order_is_not_given_again(twilio, telephony, answer, kind, code, status):
    twilio.answers = [answer]
    with pytest.raises(TelephonyError) as named:
        await telephony.redirect(CALL, DIAL)
    assert type(named.value) is kind
    assert (named.value.code, named.value.status) == (code, status)
    assert [request.method for request in twilio.received] == ["POST"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (error(400, 21205), "Message of 21205 (Twilio 21205, HTTP 400)"),
        (problem(400, 20001), "Detail of 20001 (Twilio 20001, HTTP 400)"),
        (says(502, "<html>"), "Bad Gateway (HTTP 502)"),
        (says(400, {"message": "x" * 9_000}), "x" * 200 + " (HTTP 400)"),
    ],
)
async def test_an_error_reads_as_one_short_line_with_its_codes(twilio, telephony, answer, text):
    twilio.answers = [answer]
    with pytest.raises(TelephonyError) as named:
        await telephony.redirect(CALL, DIAL)
    assert str(named.value) == text


async def test_a_call_that_ended_before_the_hang_up_is_gone(twilio, telephony):
    twilio.answers = [error(404, 20404)]
    with pytest.raises(CallGone):
        await telephony.hang_up(CALL)
    with pytest.raises(CallGone):
        await telephony.status(CALL)


async def test_a_call_without_a_status_is_no_answer(twilio, telephony):
    twilio.answers = [says(200, {"sid": CALL})]
    with pytest.raises(Ambiguous):
        await telephony.status(CALL)


# Too many requests


async def test_an_order_that_was_turned_away_is_given_again(twilio, telephony):
    twilio.answers = [TOO_MANY, says(429, "<html>slow down</html>"), OK]
    await telephony.redirect(CALL, DIAL)
    assert [request.form for request in twilio.received] == [[("Twiml", DIAL)]] * 3


async def test_retry_after_is_obeyed(twilio, telephony):
    twilio.answers = [error(429, 20429, {"Retry-After": "1"}), OK]
    await telephony.redirect(CALL, DIAL)
    first, second = twilio.received
    assert second.at - first.at > 0.99


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "nan", "1e9", "", "٣"])
async def test_a_retry_after_that_names_no_seconds_counts_as_not_said(twilio, telephony, header):
    twilio.answers = [error(429, 20429, {"Retry-After": header}), OK]
    await telephony.redirect(CALL, DIAL)
    assert len(twilio.received) == 2


@pytest.mark.parametrize("seconds", [3, 3_600])
async def test_a_long_retry_after_is_not_waited_for(twilio, telephony, seconds):
    twilio.answers = [error(429, 20429, {"Retry-After": str(seconds)}), OK]
    with pytest.raises(Unavailable) as unavailable:
        await telephony.redirect(CALL, DIAL)
    assert unavailable.value.retry_after == seconds
    assert len(twilio.received) == 1


async def test_an_order_that_is_turned_away_four_times_is_given_up(twilio, telephony):
    twilio.answers = [TOO_MANY]
    with pytest.raises(Unavailable) as unavailable:
        await telephony.redirect(CALL, DIAL)
    assert (unavailable.value.code, unavailable.value.status) == (20429, 429)
    assert len(twilio.received) == 4


async def test_nothing_is_repeated_after_an_ambiguous_answer_to_a_repetition(twilio, telephony):
    twilio.answers = [TOO_MANY, error(500, 20500), OK]
    with pytest.raises(Ambiguous):
        await telephony.redirect(CALL, DIAL)
    assert len(twilio.received) == 2


# No answer


async def test_silence_after_the_order_is_ambiguous_and_the_order_is_not_given_again(twilio):
    twilio.answers = [twilio.never_answers]
    async with TwilioTelephony(
        ACCOUNT, auth_token=SECRET, api_url=twilio.url, connect_seconds=600, read_seconds=0.2
    ) as telephony:
        with pytest.raises(Ambiguous):
            await telephony.redirect(CALL, DIAL)
    assert len(twilio.received) == 1


async def test_an_answer_that_never_ends_is_cut_off(twilio):
    twilio.answers = [twilio.drips]
    async with TwilioTelephony(
        ACCOUNT, auth_token=SECRET, api_url=twilio.url, connect_seconds=0.5, read_seconds=0.5
    ) as telephony:
        with pytest.raises(Ambiguous):
            await telephony.redirect(CALL, DIAL)
    assert len(twilio.received) == 1


@pytest.mark.parametrize("answer", [closes_without_answering, breaks_off_in_the_answer])
async def test_a_connection_lost_after_the_order_is_ambiguous(twilio, telephony, answer):
    twilio.answers = [answer]
    with pytest.raises(Ambiguous):
        await telephony.redirect(CALL, DIAL)
    assert len(twilio.received) == 1


async def test_a_connection_lost_between_two_orders_is_replaced(twilio, telephony):
    twilio.answers = [says(200, CALL_RESOURCE, {"Connection": "close"}), OK]
    await telephony.status(CALL)
    await telephony.redirect(CALL, DIAL)
    assert [request.method for request in twilio.received] == ["GET", "POST"]


# No connection


async def test_a_twilio_that_refuses_connections_is_unavailable(unused_port):
    url = f"http://127.0.0.1:{unused_port}"
    async with TwilioTelephony(ACCOUNT, auth_token=SECRET, api_url=url) as telephony:
        with pytest.raises(Unavailable) as unavailable:
            await telephony.redirect(CALL, DIAL)
    assert (unavailable.value.code, unavailable.value.status) == (None, None)


async def test_an_order_is_sent_once_when_twilio_can_be_reached_again(twilio, unused_port, log):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", twilio.handle)
    url = f"http://127.0.0.1:{unused_port}"
    async with TwilioTelephony(ACCOUNT, auth_token=SECRET, api_url=url) as telephony:
        order = asyncio.create_task(telephony.redirect(CALL, DIAL))
        await log.line("asking Twilio again")
        async with TestServer(app, port=unused_port):
            await order
    assert len(twilio.received) == 1


@pytest.mark.parametrize("hello", ["silence", "nonsense", "close"])
async def test_a_handshake_that_fails_is_repeated_because_nothing_was_sent(hello):
    connections: list[asyncio.StreamWriter] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.read(1)  # the first byte of a TLS handshake
        if hello == "nonsense":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        if hello == "close":
            writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    connect = 0.2 if hello == "silence" else 2.0
    async with (
        server,
        TwilioTelephony(ACCOUNT, auth_token=SECRET, api_url=url, connect_seconds=connect) as telephony,
    ):
        with pytest.raises(Unavailable):
            await telephony.redirect(CALL, DIAL)
        for connection in connections:
            connection.close()
    assert len(connections) > 1


# Opening and closing


async def test_an_order_after_the_close_is_unavailable_and_closing_twice_does_no_harm(twilio):
    telephony = TwilioTelephony(ACCOUNT, auth_token=SECRET, api_url=twilio.url)
    await telephony.close()
    await telephony.close()
    with pytest.raises(Unavailable):
        await telephony.redirect(CALL, DIAL)
    assert twilio.received == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"account_sid": "SK0123456789abcdef0123456789abcdef"},
        {"account_sid": f"{ACCOUNT}/.."},
        {"auth_token": None},
        {"auth_token": ""},
        {"api_url": "api.twilio.com"},
        {"api_url": "ftp://api.twilio.com"},
        {"api_url": "http:///"},
        {"connect_seconds": 0},
        {"read_seconds": -1},
    ],
    ids=str,
)
async def test_a_wrong_setting_is_refused_at_once(wrong):
    settings = {"account_sid": ACCOUNT, "auth_token": SECRET} | wrong
    with pytest.raises(ValueError):
        TwilioTelephony(settings.pop("account_sid"), **settings)


def test_it_is_made_inside_a_running_loop():
    with pytest.raises(RuntimeError):
        TwilioTelephony(ACCOUNT, auth_token=SECRET)


# Logs


class Log:
    """Everything that was logged, by the product and by the libraries, at every level."""

    def __init__(self) -> None:
        self.text = ""
        self.changed = asyncio.Event()

    def write(self, text: str) -> None:
        self.text += text
        self.changed.set()

    async def line(self, words: str) -> None:
        while words not in self.text:
            self.changed.clear()
            await self.changed.wait()


@pytest.fixture
async def log(caplog) -> AsyncIterator[Log]:
    log = Log()
    handler = logging.StreamHandler(log)  # type: ignore[arg-type]
    caplog.set_level(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    sink = logger.add(log.write, level=0, format="{message} {extra} {exception}", diagnose=False)
    yield log
    logger.remove(sink)
    logging.getLogger().removeHandler(handler)


async def test_neither_credentials_nor_documents_are_logged(twilio, telephony, log):
    for answer in (OK, error(401, 20003), error(500, 20500), closes_without_answering):
        twilio.answers = [TOO_MANY, answer]
        try:
            await telephony.redirect(CALL, DIAL)
        except TelephonyError as failure:
            logger.exception("{} {!r}", failure, failure)
    assert "asking Twilio again" in log.text
    for secret in (SECRET, basic(ACCOUNT, SECRET), "<Dial>", "+12025550143", "Authorization"):
        assert secret not in log.text


async def test_a_repetition_is_logged_with_the_call_it_is_for(twilio, telephony, log):
    twilio.answers = [TOO_MANY, OK]
    await telephony.redirect(CALL, DIAL)
    (line,) = [line for line in log.text.splitlines() if "asking Twilio again" in line]
    assert CALL in line
