"""The console's door: passwords, sessions, forms of other sites, and what every answer tells the browser."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from calls import SID
from pydantic import SecretStr
from serving import serving

from sandbox.stage import Stage
from web.console.access import TRIES, TRIES_SECONDS, Access, Role, TooManyTries

PASSWORD, VIEWERS, AUTH = "correct horse", "battery staple", "auth token"
Open = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """Starts the server with settings; returns a browser without cookies."""
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())

        async def open_(**settings: str) -> httpx2.AsyncClient:
            url = await stack.enter_async_context(serving(stage, tmp_path, **settings))
            return await stack.enter_async_context(httpx2.AsyncClient(base_url=url))

        yield open_


@pytest.fixture
async def client(opened: Open) -> httpx2.AsyncClient:
    return await opened(CONSOLE_PASSWORD=PASSWORD, CONSOLE_VIEWER_PASSWORD=VIEWERS)


async def log_in(client: httpx2.AsyncClient, password: str = PASSWORD, name: str = "Anna") -> httpx2.Response:
    return await client.post("/console/login", data={"name": name, "password": password, "next": "/console"})


async def form_token(client: httpx2.AsyncClient) -> str:
    found = re.search(r'name="form-token" content="(\w+)"', (await client.get("/console")).text)
    assert found
    return found[1]


# --- who gets in --------------------------------------------------------------------------------------


PAGES = ["/console", "/console/calls", f"/console/calls/{SID}", "/console/export.csv", "/console/export.json"]


@pytest.mark.parametrize("path", [*PAGES, f"/console/calls/{SID}/export.json"])
async def test_a_stranger_is_sent_to_the_login(client: httpx2.AsyncClient, path: str):
    answer = await client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/login?next=")


@pytest.mark.parametrize("path", ["/console/live", f"/console/calls/{SID}/live"])
async def test_a_stranger_follows_nothing(client: httpx2.AsyncClient, path: str):
    answer = await client.get(path, headers={"Accept": "text/event-stream"})
    assert answer.status_code == 401


ACTS = [f"/console/calls/{SID}/{act}" for act in ("put-through", "take", "hint", "hang-up")] + ["/console/outage"]


@pytest.mark.parametrize("path", ACTS)
async def test_a_stranger_does_nothing(client: httpx2.AsyncClient, path: str):
    assert (await client.post(path, data={"target": "billing", "text": "x", "on": "1"})).status_code == 401


async def test_the_front_door_leads_to_the_console(client: httpx2.AsyncClient):
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/console")


async def test_the_password_opens_the_console_with_a_cookie_that_no_script_and_no_other_site_gets(
    client: httpx2.AsyncClient,
):
    answer = await log_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/console" in cookie
    assert (await client.get("/console")).status_code == 200


async def test_over_https_the_cookie_is_never_sent_in_the_clear(client: httpx2.AsyncClient):
    form = {"name": "Anna", "password": PASSWORD}
    answer = await client.post("/console/login", data=form, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in answer.headers["set-cookie"].lower()


async def test_a_wrong_password_opens_nothing_and_too_many_have_to_wait(client: httpx2.AsyncClient):
    for _ in range(TRIES):
        answer = await log_in(client, "wrong")
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
    assert (await log_in(client)).status_code == 429


@pytest.mark.parametrize(
    ("asked", "lands"),
    [
        ("/console/calls?digits=12", "/console/calls?digits=12"),
        ("https://evil.example/", "/console"),
        ("//evil.example/", "/console"),
        ("/console//evil.example", "/console"),
        ("/\\evil.example", "/console"),
        ("/consolevil", "/console"),
        ("/console/\r\nSet-Cookie: x=1", "/console"),
    ],
)
async def test_a_login_leads_to_a_page_of_the_console_and_nowhere_else(
    client: httpx2.AsyncClient, asked: str, lands: str
):
    answer = await client.post("/console/login", data={"name": "Anna", "password": PASSWORD, "next": asked})
    assert answer.headers["location"] == lands


async def test_logging_out_ends_the_session(client: httpx2.AsyncClient):
    await log_in(client)
    cookie = client.cookies["putthrough_console"]
    async with client.stream("GET", "/console/live") as stream:
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("data: ")
        await client.post("/console/logout", data={"form": await form_token(client)})
        assert (await client.get("/console")).status_code == 303
        async with asyncio.timeout(5):
            assert [line async for line in lines if line.startswith("data: {")] in ([], [""])
    client.cookies.set("putthrough_console", cookie)
    assert (await client.get("/console")).status_code == 303, "somebody who has kept the cookie is out as well"


async def test_without_a_password_this_machine_alone_gets_in(opened: Open):
    client = await opened()
    page = await client.get("/console")
    assert page.status_code == 200
    assert "No password is set" in page.text
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}):
        for path in ("/console", "/console/calls", "/console/login"):
            assert (await client.get(path, headers=headers)).status_code == 403
        assert (await client.post("/console/outage", data={"on": "1"}, headers=headers)).status_code == 403


# --- forms ----------------------------------------------------------------------------------------------


async def test_a_form_of_another_site_does_nothing(client: httpx2.AsyncClient):
    await log_in(client)
    form = {"form": await form_token(client), "on": "1"}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert (await client.post("/console/outage", data=form, headers=headers)).status_code == 403
    assert (await client.post("/console/outage", data={"on": "1"})).status_code == 403
    assert (await client.post("/console/outage", data={"on": "1", "form": "0" * 40})).status_code == 403
    assert "outage switch is on" not in (await client.get("/console")).text


async def test_the_form_of_one_session_is_worth_nothing_in_another(client: httpx2.AsyncClient):
    await log_in(client)
    token = await form_token(client)
    await log_in(client, name="Ben")
    assert (await client.post("/console/outage", data={"on": "1", "form": token})).status_code == 403


async def test_nobody_logs_in_through_another_site(client: httpx2.AsyncClient):
    form = {"name": "Mallory", "password": PASSWORD}
    answer = await client.post("/console/login", data=form, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


async def test_a_form_that_is_too_long_is_not_read(client: httpx2.AsyncClient):
    await log_in(client)
    assert (await client.post("/console/outage", data={"reason": "x" * 100_000})).status_code == 413


async def test_a_supervisor_turns_the_outage_switch_and_the_board_says_who(client: httpx2.AsyncClient):
    await log_in(client)
    form = {"form": await form_token(client), "on": "1", "reason": "the model <b>rambles</b>"}
    answer = await client.post("/console/outage", data=form, headers={"Accept": "application/json"})
    assert answer.json()["done"] is True
    board = (await client.get("/console")).text
    assert "the model &lt;b&gt;rambles&lt;/b&gt; (Anna)" in board
    assert (await client.post("/console/outage", data={**form, "on": "0"})).status_code == 303
    board = (await client.get("/console")).text
    assert "outage switch is on" not in board
    [lately] = re.findall(r'<div id="switched">.*?</div>', board, re.DOTALL)
    assert re.findall(r'"badge[^>]*>(on|off)</span> <bdi>(\w+)</bdi>', lately) == [("off", "Anna"), ("on", "Anna")]
    assert "the model &lt;b&gt;rambles&lt;/b&gt;" in lately


async def test_a_switch_that_the_api_turned_is_on_the_board_too(client: httpx2.AsyncClient):
    await log_in(client)
    await client.put("/api/outage", json={"on": True, "reason": "<i>rambles</i>"}, auth=("any", PASSWORD))
    assert "&lt;i&gt;rambles&lt;/i&gt;" in (await client.get("/console")).text


async def test_a_viewer_sees_the_pages_and_does_nothing(client: httpx2.AsyncClient):
    await log_in(client, VIEWERS)
    for path in ("/console", "/console/calls", "/console/export.csv"):
        assert (await client.get(path)).status_code == 200
    page = (await client.get("/console")).text
    assert "You are a viewer" in page
    assert "/console/outage" not in page
    form = {"form": await form_token(client), "on": "1"}
    for path in ACTS:
        assert (await client.post(path, data=form)).status_code == 403


async def test_the_viewers_password_does_not_open_the_api(client: httpx2.AsyncClient):
    assert (await client.get("/api/calls", auth=("any", VIEWERS))).status_code == 401
    assert (await client.get("/api/calls", auth=("any", PASSWORD))).status_code == 200
    for given, status in ((VIEWERS, 401), ("x", 401), (PASSWORD, 200)):
        answer = await client.get("/metrics", headers={"Authorization": f"Bearer {given}"})
        assert answer.status_code == status


# --- what every answer tells the browser ----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/console/login", "/console", "/console/static/console.js", "/console/nowhere"])
async def test_every_answer_forbids_what_is_not_ours(client: httpx2.AsyncClient, path: str):
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] in ("no-store", "no-cache")


async def test_no_page_holds_a_script_a_style_or_an_address_of_another_host(client: httpx2.AsyncClient):
    await log_in(client)
    for path in ("/console", "/console/calls", "/console/login"):
        page = (await client.get(path)).text
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=|javascript:", page)
        assert not re.search(r"(?:src|href|action)=\"(?!/console)[^#]", page)


async def test_a_call_that_is_not_in_the_record_is_told_as_such(client: httpx2.AsyncClient):
    await log_in(client)
    answer = await client.get(f"/console/calls/{SID}")
    assert answer.status_code == 404
    assert "no call" in answer.text


@pytest.mark.parametrize("path", ["/console/nowhere", "/console/calls/<b>", f"/console/calls/{SID}/recordings/0"])
async def test_what_is_not_there_is_told_to_people_as_a_page_and_to_programs_as_json(
    client: httpx2.AsyncClient, path: str
):
    await log_in(client)
    page = await client.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "There is no such page." in page.text
    assert (await client.get(path)).headers["content-type"] == "application/json"


async def test_nobody_follows_a_call_that_is_not_there(client: httpx2.AsyncClient):
    await log_in(client)
    answer = await client.get(f"/console/calls/{SID}/live", headers={"Accept": "text/event-stream"})
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/console", "/console/calls", "/console/live", "/console/export.csv", "/health"])
async def test_head_is_answered_as_get_is_without_a_body(client: httpx2.AsyncClient, path: str):
    await log_in(client)
    answer = await client.head(path, timeout=5)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("since", ["9999-12-31", "0001-01-01", "2026-13-45", "\0", "-1", "1e99"])
async def test_a_day_that_is_none_is_not_looked_for(client: httpx2.AsyncClient, since: str):
    await log_in(client)
    asked = {"since": since, "until": since, "before": since, "digits": "<x>", "outcome": "'", "target": "\0🙂"}
    for path in ("/console/calls", "/console/export.csv"):
        assert (await client.get(path, params=asked)).status_code == 200


async def test_no_page_of_this_server_loads_anything_of_another_host(client: httpx2.AsyncClient):
    for path in ("/docs", "/redoc"):
        assert (await client.get(path)).status_code == 404
    assert (await client.get("/console/")).headers["location"] == "/console"


async def test_what_the_api_tells_of_calls_is_not_kept(client: httpx2.AsyncClient):
    answer = await client.get("/api/calls", auth=("any", PASSWORD))
    assert answer.headers["cache-control"] == "no-store"


async def test_a_form_without_a_session_leads_to_the_login(client: httpx2.AsyncClient):
    answer = await client.post(f"/console/calls/{SID}/hang-up", headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert "Log in again." in answer.text


# --- sessions -------------------------------------------------------------------------------------------


def access(password: str | None = PASSWORD, at: list[float] | None = None, token: str = AUTH) -> Access:
    clock = at or [1000.0]
    secret = SecretStr(password) if password else None
    return Access(secret, SecretStr(VIEWERS), auth_token=token, clock=lambda: clock[0])


def test_a_session_ends_after_a_shift():
    at = [1000.0]
    door = access(at=at)
    visitor = door.visitor("Anna", Role.SUPERVISOR)
    cookie = door.cookie(visitor)
    assert door.known(cookie) == visitor
    at[0] = visitor.until
    assert door.known(cookie) is None


@pytest.mark.parametrize("forged", ["", ".", "x.y", "ä.ö", "W10=.0"])
def test_a_forged_cookie_is_none(forged: str):
    door = access()
    assert door.known(forged) is None
    text, _, seal = door.cookie(door.visitor("Anna", Role.VIEWER)).rpartition(".")
    assert door.known(f"{text}A.{seal}") is None


def test_every_process_knows_the_session_and_another_password_ends_it():
    cookie = access().cookie(access().visitor("Anna", Role.SUPERVISOR))
    assert access().known(cookie) is not None
    assert access("another").known(cookie) is None
    assert access(token="another").known(cookie) is None


def test_who_has_to_wait_gets_in_again_afterwards_and_others_need_not_wait():
    at = [1000.0]
    door = access(at=at)
    for _ in range(TRIES):
        assert door.log_in("Anna", "wrong", "203.0.113.9") is None
    with pytest.raises(TooManyTries):
        door.log_in("Anna", PASSWORD, "203.0.113.9")
    assert door.log_in("Ben", PASSWORD, "203.0.113.8") is not None
    at[0] += TRIES_SECONDS + 1
    assert door.log_in("Anna", PASSWORD, "203.0.113.9") is not None


def test_names_are_kept_short_and_in_one_line():
    assert access().visitor(f"  An\nna {'x' * 100}", Role.VIEWER).name.startswith("An na x")
    assert len(access().visitor("x" * 100, Role.VIEWER).name) == 60
    assert access().visitor(" ", Role.VIEWER).name == "viewer"
