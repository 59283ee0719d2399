"""Twilio's REST API."""

import asyncio
import re
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
from our_server import ACCOUNT, ANNA, CALLER, OURS, PUBLIC, TOKEN, document, world
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from sandbox.network import RestFault
from sandbox.people import Person
from sandbox.sound import tone

UNKNOWN = "CA" + "0" * 32


async def test_a_call_is_fetched_with_the_whole_resource():
    async with world() as w:
        call, _ = await w.stream()
        status, body = await w.rest("GET", f"Calls/{call.sid}.json")
        assert status == 200
        assert body["status"] == "in-progress"
        assert (body["from"], body["to"], body["direction"]) == (CALLER, OURS, "inbound")
        assert parsedate_to_datetime(body["start_time"])
        assert body["end_time"] is None
        assert body["uri"] == f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{call.sid}.json"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # aiohttp's BasicAuth in twilio's client
async def test_twilio_s_own_library_works_against_it():
    async with world() as w:
        call, socket = await w.stream()
        async with AsyncTwilioHttpClient() as http:
            client = Client(ACCOUNT, TOKEN, http_client=http)
            client.api.base_url = w.net.rest_url
            assert (await client.calls(call.sid).fetch_async()).status == "in-progress"
            moved = await client.calls(call.sid).update_async(twiml=document("<Pause length='60'/>"))
            assert moved.status == "in-progress"
            await socket.until("stop")
            ended = await client.calls(call.sid).update_async(status="completed")
            assert ended.status == "completed"
            await call.ended()
            with pytest.raises(TwilioRestException) as refused:
                await client.calls(call.sid).update_async(status="completed")
            assert (refused.value.status, refused.value.code) == (400, 21220)
            with pytest.raises(TwilioRestException) as unknown:
                await client.calls(UNKNOWN).fetch_async()
            assert (unknown.value.status, unknown.value.code) == (404, 20404)


async def test_wrong_credentials_are_401_and_an_api_key_opens_too():
    async with world() as w:
        call, _ = await w.stream()
        status, body = await w.rest("GET", f"Calls/{call.sid}.json", secret="wrong")
        assert (status, body["code"]) == (401, 20003)
        url = f"{w.net.rest_url}/2010-04-01/Accounts/{ACCOUNT}/Calls/{call.sid}.json"
        headers = {"Authorization": aiohttp.encode_basic_auth("SK1", "key-secret")}
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
            assert answer.status == 200


async def test_a_redirect_to_an_address_asks_for_the_document_there():
    async with world() as w:
        w.server.documents["/moved"] = document("<Hangup/>")
        call, _ = await w.stream()
        status, body = await w.rest("POST", f"Calls/{call.sid}.json", Url=f"{PUBLIC}/moved")
        assert (status, body["status"]) == (200, "in-progress")
        await call.ended()
        assert w.server.asked_for("/moved")[0].form["CallSid"] == call.sid


async def test_ending_a_call_ends_its_stream():
    async with world() as w:
        call, socket = await w.stream()
        status, body = await w.rest("POST", f"Calls/{call.sid}.json", Status="completed")
        assert (status, body["status"]) == (200, "completed")
        await socket.until("stop")
        await call.ended()
        assert (await call.until("hang up")).data["status"] == 200


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"Twiml": "<Response/>" + " " * 4000}, 400, 32018),
        ({"Twiml": "<Response/>", "Url": "https://bot.example/x"}, 400, 20001),
        ({"Url": "not an address"}, 400, 21205),
        ({"Status": "canceled"}, 400, 21220),
        ({"Status": "busy"}, 400, 20001),
    ],
)
async def test_what_twilio_refuses_is_refused_and_changes_nothing(form: dict[str, str], status: int, code: int):
    async with world() as w:
        call, socket = await w.stream()
        answered, body = await w.rest("POST", f"Calls/{call.sid}.json", **form)
        assert (answered, body["code"], body["status"]) == (status, code, status)
        await socket.until("media", len(socket.of("media")) + 3)
        assert call.live


async def test_a_json_body_is_refused():
    async with world() as w:
        call, _ = await w.stream()
        url = f"{w.net.rest_url}/2010-04-01/Accounts/{ACCOUNT}/Calls/{call.sid}.json"
        headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
        async with aiohttp.ClientSession() as http, http.post(url, headers=headers, json={"Status": "completed"}) as a:
            assert a.status == 400
        assert call.live


async def test_a_call_that_still_rings_cannot_be_redirected():
    async with world() as w:
        w.server.documents["/voice"] = document("<Pause length='60'/>")
        call = await w.call()
        await call.until("verb")
        assert await w.redirect(call, "<Hangup/>") == 400


async def test_of_two_redirects_the_last_one_counts():
    async with world() as w:
        call, _ = await w.stream()
        statuses = await asyncio.gather(w.redirect(call, "<Say>One.</Say>"), w.redirect(call, "<Say>Two.</Say>"))
        assert statuses == [200, 200]
        await call.ended()
        assert [request.code for request in w.net.rest_log] == [None, None]


@pytest.mark.parametrize(("kind", "status", "code"), [("500", 500, 20500), ("429", 429, 20429), ("401", 401, 20003)])
async def test_a_fault_refuses_requests_without_carrying_them_out(kind: str, status: int, code: int):
    async with world() as w:
        call, _ = await w.stream()
        w.net.rest_faults.append(RestFault(kind, retry_after=3, times=2))  # type: ignore[arg-type]
        for _ in range(2):
            answered, body = await w.rest("POST", f"Calls/{call.sid}.json", Status="completed")
            assert (answered, body["code"]) == (status, code)
            assert call.live
        answered, _ = await w.rest("POST", f"Calls/{call.sid}.json", Status="completed")
        assert answered == 200
        assert [request.status for request in w.net.rest_log] == [status, status, 200]


async def test_a_429_may_say_when_to_come_back():
    async with world() as w:
        w.net.rest_faults.extend([RestFault("429", retry_after=3), RestFault("429")])
        async with aiohttp.ClientSession() as http:
            said = [(await http.get(f"{w.net.rest_url}/x")).headers.get("Retry-After") for _ in range(2)]
        assert said == ["3", None]


async def test_a_proxy_s_502_is_html():
    async with world() as w:
        w.net.rest_faults.append(RestFault("html502"))
        async with aiohttp.ClientSession() as http, http.get(f"{w.net.rest_url}/x") as answer:
            assert (answer.status, answer.content_type) == (502, "text/html")


@pytest.mark.parametrize(("kind", "live"), [("hang", True), ("apply_then_hang", False)])
async def test_a_hanging_answer_says_nothing_of_what_was_carried_out(kind: str, live: bool):
    async with world() as w:
        call, _ = await w.stream()
        w.net.rest_faults.append(RestFault(kind))  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await w.rest("POST", f"Calls/{call.sid}.json", Status="completed")
        assert call.live is live
        assert w.net.rest_log[0].status is None


async def test_a_recording_can_be_fetched():
    async with world() as w:
        w.server.documents |= {"/voice": document('<Record action="/kept"/>'), "/kept": document("")}
        call = await w.call()
        await call.until("recording")
        await call.say(tone(300, seconds=0.2))
        await call.press("1")
        await call.ended()
        url = w.server.asked_for("/kept")[0].form["RecordingUrl"]
        async with aiohttp.ClientSession() as http, http.get(f"{url}.wav") as answer:
            assert (await answer.read())[:4] == b"RIFF"


async def test_a_call_that_our_server_places_rings_and_runs_its_document():
    async with world() as w:
        w.net.people[ANNA] = Person(after=0.1, says="Hello?", hangs_up_after=0.3)
        w.server.documents |= {"/outgoing": document("<Pause length='60'/>"), "/status": document("")}
        status, body = await w.rest(
            "POST",
            "Calls.json",
            To=ANNA,
            From=OURS,
            Url=f"{PUBLIC}/outgoing",
            StatusCallback=f"{PUBLIC}/status",
        )
        assert (status, body["status"], body["direction"]) == (201, "queued", "outbound-api")
        assert re.fullmatch(r"CA[0-9a-f]{32}", body["sid"])
        call = w.net.calls[0]
        await call.ended()
        assert w.server.asked_for("/outgoing")[0].form["CallStatus"] == "in-progress"
        assert w.server.asked_for("/status")[0].form["CallStatus"] == "completed"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"From": OURS, "Url": PUBLIC}, 21201),
        ({"To": "anna", "From": OURS, "Url": PUBLIC}, 21211),
        ({"To": ANNA, "From": CALLER, "Url": PUBLIC}, 21210),
        ({"To": ANNA, "From": OURS}, 21205),
    ],
)
async def test_a_call_that_cannot_be_placed_is_refused(form: dict[str, str], code: int):
    async with world() as w:
        status, body = await w.rest("POST", "Calls.json", **form)
        assert (status, body["code"]) == (400, code)
        assert not w.net.calls


async def test_an_outgoing_call_that_nobody_answers_ends_by_name():
    async with world() as w:
        for behaviour, status in (("busy", "busy"), ("no_answer", "no-answer"), ("failed", "failed")):
            w.net.people[ANNA] = Person(behaviour, after=0.1)  # type: ignore[arg-type]
            await w.rest("POST", "Calls.json", To=ANNA, From=OURS, Twiml=document(""), Timeout="1")
            call = w.net.calls[-1]
            await call.ended()
            assert call.status == status


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "sip:robin@branch.example"}, 21211),
        ({"From": "+12025550999"}, 21606),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
    ],
)
async def test_a_text_message_that_twilio_would_not_send_is_refused(wrong: dict[str, str], code: int):
    async with world() as w:
        form = {"To": ANNA, "From": OURS, "Body": "Hello."}
        status, body = await w.rest("POST", "Messages.json", **(form | wrong))
        assert (status, body["code"]) == (400, code)
        status, body = await w.rest("POST", "Messages.json", **form)
        assert (status, body["status"]) == (201, "queued")
        assert [message.body for message in w.net.messages] == ["Hello."]
