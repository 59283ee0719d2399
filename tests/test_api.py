"""The calls API: what it tells, whom it tells it, and how it puts a caller through."""

import base64
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from bot.call import Attempt, By, Call, End, Handoff, Message, Outcome, Phase
from bot.effects import Timer
from bot.events import GoodbyeHeard, TimerFired
from bot.ledger import Entry, Ledger
from web.api import calls_api

SID = "CA0123456789abcdef0123456789abcdef"
UNKNOWN = "CAffffffffffffffffffffffffffffffff"
AT = 1_700_000_000.25
"""2023-11-14T22:13:20.250Z"""

CALL = Call(
    SID,
    "+12025550199",
    "+12025550100",
    AT,
    phase=Phase.ENDED,
    leg=2,
    handoffs=(Handoff("sales", "an order", "Wants 40 chairs.", By.MODEL, AT + 10),),
    attempts=(
        Attempt("sales", "+12025550101", AT + 15, ended_at=AT + 17, outcome=Outcome.FAILED, code=13224),
        Attempt("sales", "+12025550102", AT + 17, AT + 20, AT + 22, False, AT + 80, Outcome.ANSWERED),
    ),
    message=Message("https://api.twilio.com/recordings/RE1", 12),
    end=End.PUT_THROUGH,
    ended_at=AT + 80,
)

NOT_TOLD = {
    "answered_by": None,
    "attended": False,
    "rang_at": None,
    "bridged_at": None,
    "ended_by": None,
    "short": False,
    "sent_back": False,
    "introduced": None,
    "why": "",
    "message": "",
    "consulted_at": None,
    "consulted_until": None,
    "reconciled": False,
}
ATTEMPTS = [
    {
        "target": "sales",
        "number": "+12025550101",
        "started_at": "2023-11-14T22:13:35.250000Z",
        "answered_at": None,
        "accepted_at": None,
        "ended_at": "2023-11-14T22:13:37.250000Z",
        "outcome": "failed",
        "code": 13224,
        "failsafe": False,
        **NOT_TOLD,
    },
    {
        "target": "sales",
        "number": "+12025550102",
        "started_at": "2023-11-14T22:13:37.250000Z",
        "answered_at": "2023-11-14T22:13:40.250000Z",
        "accepted_at": "2023-11-14T22:13:42.250000Z",
        "ended_at": "2023-11-14T22:14:40.250000Z",
        "outcome": "answered",
        "code": None,
        "failsafe": False,
        **NOT_TOLD,
    },
]

Client = Callable[..., httpx2.AsyncClient]


class Line:
    """Stands for the live calls: takes hand-offs, as the switchboard does."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, str, str, str]] = []
        self.agrees = True

    async def request_handoff(self, call_sid: str, target: str, reason: str, summary: str) -> bool:
        if call_sid != SID:
            raise KeyError(call_sid)
        self.orders.append((call_sid, target, reason, summary))
        return self.agrees


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    yield ledger
    await ledger.close()


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
async def connect(ledger: Ledger, line: Line) -> AsyncIterator[Client]:
    """Makes a client of the API: from which address, by which host name, under which password."""
    clients: list[httpx2.AsyncClient] = []

    def client(
        *, address: str = "127.0.0.1", host: str = "localhost:8080", password: str | None = None
    ) -> httpx2.AsyncClient:
        app = FastAPI()
        targets = {"sales": None, "billing": None}
        app.include_router(calls_api(ledger, targets=targets, request_handoff=line.request_handoff, password=password))
        transport = httpx2.ASGITransport(app, client=(address, 50123))
        clients.append(httpx2.AsyncClient(transport=transport, base_url=f"http://{host}"))
        return clients[-1]

    yield client
    for each in clients:
        await each.aclose()


@pytest.fixture
def local(connect: Client) -> httpx2.AsyncClient:
    return connect()


async def get(client: httpx2.AsyncClient, path: str, status: int = 200, **headers: str) -> Any:
    answer = await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status_code == status, answer.text
    return answer.json()


# --- what it tells -------------------------------------------------------------------------------------


async def test_a_call_is_told_whole(ledger: Ledger, local: httpx2.AsyncClient):
    await ledger.add(CALL, Entry(AT, "CallAnswered", {}, "connecting", True))
    await ledger.note(SID, Entry.of(TimerFired(at=AT + 1, timer=Timer.CHECK, number=0), CALL, False))
    await ledger.note(SID, Entry.of(GoodbyeHeard(at=AT + 15, handoff=1), CALL, True))
    await ledger.add_line(SID, 1, "bot", "Good morning.", AT + 2)
    await ledger.add_line(SID, 1, "caller", "40 chairs, please.", AT + 5)

    assert await get(local, f"/api/calls/{SID}") == {
        "call_sid": SID,
        "state": "ended",
        "direction": "inbound",
        "purpose": "",
        "caller": "+12025550199",
        "called": "+12025550100",
        "started_at": "2023-11-14T22:13:20.250000Z",
        "ended_at": "2023-11-14T22:14:40.250000Z",
        "end": "put_through",
        "leg": 2,
        "handoffs": [
            {
                "target": "sales",
                "reason": "an order",
                "summary": "Wants 40 chairs.",
                "by": "model",
                "at": "2023-11-14T22:13:30.250000Z",
                "withdrawn": False,
                "closed": False,
                "wants": [],
                "introduction": "",
            }
        ],
        "attempts": ATTEMPTS,
        "falls": [],
        "callbacks": [],
        "rescues": 0,
        "message": {"url": "https://api.twilio.com/recordings/RE1", "seconds": 12, "transcription": None, "text": ""},
        "joins": [],
        "recordings": [],
        "timeline": [
            {
                "at": "2023-11-14T22:13:20.250000Z",
                "event": "CallAnswered",
                "data": {},
                "phase": "connecting",
                "changed": True,
                "late": False,
            },
            {
                "at": "2023-11-14T22:13:21.250000Z",
                "event": "TimerFired",
                "data": {"timer": "check", "number": 0},
                "phase": "ended",
                "changed": False,
                "late": False,
            },
            {
                "at": "2023-11-14T22:13:35.250000Z",
                "event": "GoodbyeHeard",
                "data": {"handoff": 1},
                "phase": "ended",
                "changed": True,
                "late": False,
            },
        ],
        "transcript": [
            {"at": "2023-11-14T22:13:22.250000Z", "leg": 1, "role": "bot", "text": "Good morning."},
            {"at": "2023-11-14T22:13:25.250000Z", "leg": 1, "role": "caller", "text": "40 chairs, please."},
        ],
    }


async def test_a_call_that_goes_on_has_no_end(ledger: Ledger, local: httpx2.AsyncClient):
    await ledger.add(Call(SID, "anonymous", "+12025550100", AT), Entry(AT, "CallAnswered", {}, "connecting", True))
    call = await get(local, f"/api/calls/{SID}")
    assert (call["state"], call["end"], call["ended_at"], call["message"]) == ("connecting", None, None, None)
    assert (call["attempts"], call["handoffs"], call["transcript"]) == ([], [], [])


async def test_the_list_is_newest_first_page_by_page_and_by_phase(ledger: Ledger, local: httpx2.AsyncClient):
    sids = [f"CA{n:032x}" for n in range(5)]
    for n, sid in enumerate(sids):
        phase = Phase.ENDED if n % 2 else Phase.BOT
        # A third of a second has no exact form in microseconds; pages neither repeat nor lose a call for that.
        call = replace(CALL, sid=sid, phase=phase, started_at=AT + n / 3)
        await ledger.add(call, Entry(AT, "CallAnswered", {}, phase, True))

    def sids_of(page: dict[str, Any]) -> list[str]:
        return [call["call_sid"] for call in page["calls"]]

    whole = await get(local, "/api/calls")
    assert sids_of(whole) == sids[::-1]
    assert whole["next_before"] is None
    assert whole["calls"][0]["attempts"] == ATTEMPTS

    seen: list[str] = []
    page = await get(local, "/api/calls?limit=2")
    while seen.extend(sids_of(page)) or page["next_before"] is not None:
        page = await get(local, f"/api/calls?limit=2&before={page['next_before']}")
    assert seen == sids[::-1]

    assert sids_of(await get(local, "/api/calls?phase=ended")) == [sids[3], sids[1]]
    assert sids_of(await get(local, "/api/calls?before=2023-11-14T22:13:20.5Z")) == [sids[0]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "phase=asleep", "before=noon", "before=2023-11-14T22:13:20"]
)
async def test_a_question_that_makes_no_sense_is_422(local: httpx2.AsyncClient, query: str):
    await get(local, f"/api/calls?{query}", 422)


async def test_an_unknown_call_is_404_in_words(local: httpx2.AsyncClient):
    assert (await get(local, f"/api/calls/{UNKNOWN}", 404))["detail"] == f"There is no call {UNKNOWN} in the record."


@pytest.mark.parametrize("sid", ["CA1", SID.lower(), SID + "0", SID + "%0A", "AC" + SID[2:], "%00", "'--"])
async def test_a_malformed_sid_is_422(local: httpx2.AsyncClient, sid: str):
    await get(local, f"/api/calls/{sid}", 422)


async def test_a_record_that_cannot_be_read_is_503_in_words(ledger: Ledger, local: httpx2.AsyncClient, tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "calls.db")) as somebody:
        somebody.execute("DROP TABLE calls")
    for path in ("/api/calls", f"/api/calls/{SID}"):
        assert (await get(local, path, 503))["detail"] == "The record cannot be read now. Calls go on."


async def test_the_documentation_explains_the_fields(local: httpx2.AsyncClient):
    document = await get(local, "/openapi.json")
    schemas = document["components"]["schemas"]
    assert schemas["AttemptView"]["properties"]["accepted_at"]["description"] == "When the person took the call."
    assert schemas["CallDetail"]["properties"]["state"] == {"$ref": "#/components/schemas/Phase"}
    assert schemas["CallDetail"]["properties"]["started_at"]["format"] == "date-time"
    assert set(schemas["Outcome"]["enum"]) == set(Outcome)
    assert document["paths"]["/api/calls/{call_sid}"]["get"]["security"] == [{"Console password": []}]


# --- whom it tells it ----------------------------------------------------------------------------------


def basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


@pytest.mark.parametrize("user", ["", "admin", "änne"])
async def test_the_password_opens_the_record_to_any_user_from_anywhere(connect: Client, user: str):
    client = connect(address="203.0.113.9", host="bot.example.com", password="Käse:4711")
    await get(client, "/api/calls", authorization=basic(f"{user}:Käse:4711"))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic %%%",
        "Basic é",
        basic(""),
        basic("admin"),
        basic("admin:"),
        basic("admin:wrong"),
        basic("secret:"),
        basic("admin:secret "),
    ],
)
async def test_without_the_right_password_there_is_401_and_a_challenge_even_locally(
    connect: Client, header: str | None
):
    client = connect(password="secret")
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    for answer in (
        await client.get("/api/calls", headers=headers),
        await client.get(f"/api/calls/{SID}", headers=headers),
        await client.post(f"/api/calls/{SID}/handoff", headers=headers, json={"target": "sales"}),
    ):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="Putthrough", charset="UTF-8"'
        assert "password" in answer.json()["detail"]


@pytest.mark.parametrize("password", [None, ""])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080"])
async def test_without_a_password_this_machine_is_answered(
    connect: Client, password: str | None, address: str, host: str
):
    await get(connect(address=address, host=host, password=password), "/api/calls")


@pytest.mark.parametrize("address", ["203.0.113.9", "10.0.0.2", "::ffff:10.0.0.2", "fe80::1%eth0", "", "testclient"])
async def test_without_a_password_another_machine_gets_403_in_words(connect: Client, address: str):
    assert "CONSOLE_PASSWORD" in (await get(connect(address=address), "/api/calls", 403))["detail"]


async def test_without_a_password_what_a_tunnel_passes_on_gets_403(connect: Client):
    for host in ("bot.example.com", "evil_name.example.com", "localhost.example.com", "127.0.0.1@example.com", ""):
        await get(connect(), "/api/calls", 403, host=host)
    await get(connect(), "/api/calls", 403, x_forwarded_for="203.0.113.9")
    await get(connect(), "/api/calls", 403, forwarded="for=203.0.113.9")


# --- how it puts a caller through ----------------------------------------------------------------------


async def test_an_agreed_handoff_is_202(local: httpx2.AsyncClient, line: Line):
    order = {"target": "billing", "reason": "a manager asked", "summary": "An unpaid invoice."}
    answer = await local.post(f"/api/calls/{SID}/handoff", json=order)
    assert (answer.status_code, answer.json()) == (202, {"call_sid": SID, "target": "billing"})
    assert line.orders == [(SID, "billing", "a manager asked", "An unpaid invoice.")]


async def test_reason_and_summary_may_be_left_out(local: httpx2.AsyncClient, line: Line):
    assert (await local.post(f"/api/calls/{SID}/handoff", json={"target": "sales"})).status_code == 202
    assert line.orders == [(SID, "sales", "", "")]


async def test_words_with_half_a_character_are_no_server_error(local: httpx2.AsyncClient, line: Line):
    headers = {"Content-Type": "application/json"}
    body = rb'{"target": "sales", "reason": "\ud83d"}'
    assert (await local.post(f"/api/calls/{SID}/handoff", content=body, headers=headers)).status_code == 202
    assert line.orders == [(SID, "sales", "?", "")]


async def test_a_handoff_that_is_not_agreed_is_409_in_words(local: httpx2.AsyncClient, line: Line):
    line.agrees = False
    answer = await local.post(f"/api/calls/{SID}/handoff", json={"target": "sales"})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "The caller is not with the bot, or is being put through already."


async def test_a_handoff_of_a_call_nobody_knows_is_404_in_words(local: httpx2.AsyncClient):
    answer = await local.post(f"/api/calls/{UNKNOWN}/handoff", json={"target": "sales"})
    assert (answer.status_code, answer.json()["detail"]) == (404, f"There is no live call {UNKNOWN}.")


async def test_an_unknown_target_is_422_and_the_known_ones_are_named(local: httpx2.AsyncClient, line: Line):
    answer = await local.post(f"/api/calls/{SID}/handoff", json={"target": "+19005550100"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "There is no such target. Known targets: sales, billing."
    assert line.orders == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b"{", b'{"target": 1}', b'{"target": "sales", "reason": "%s"}' % (b"x" * 501)]
)
async def test_a_malformed_order_is_422(local: httpx2.AsyncClient, line: Line, body: bytes):
    headers = {"Content-Type": "application/json"}
    answer = await local.post(f"/api/calls/{SID}/handoff", content=body, headers=headers)
    assert answer.status_code == 422
    assert line.orders == []


async def test_a_form_of_another_site_cannot_give_an_order(local: httpx2.AsyncClient, line: Line):
    headers = {"Content-Type": "text/plain"}
    answer = await local.post(f"/api/calls/{SID}/handoff", content=b'{"target": "sales"}', headers=headers)
    assert answer.status_code == 422
    assert line.orders == []
