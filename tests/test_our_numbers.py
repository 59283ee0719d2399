"""`python server.py number`: whom our numbers ask, and whom when nothing of ours answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.our_numbers import set_up
from bot.settings import Configuration, load_all
from sandbox.network import Line, Person
from sandbox.stage import OUR_NUMBER, PUBLIC_URL, TAKERS_NUMBER, Stage
from sandbox.voice import speak

BINS = "https://handler.twilio.com"
ANNA = "+12025550143"


def configuration(stage: Stage) -> Configuration:
    return load_all(stage.environment, None)


@asynccontextmanager
async def kept_at_twilio(stage: Stage, **documents: str) -> AsyncIterator[None]:
    """Documents by the name of their bin."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=documents[request.match_info["bin"]], content_type="text/xml")

    app = web.Application()
    app.router.add_route("*", "/twiml/{bin}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stage.network.routes[BINS] = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield
    await runner.cleanup()


async def test_a_number_is_pointed_here(stage: Stage):
    stage.network.numbers[OUR_NUMBER] = Line("https://somebody.example/else")
    said: list[str] = []
    done = await set_up(
        configuration(stage), "+1 202-555-0100", fallback=f"{BINS}/twiml/EH2", after_message=None, say=said.append
    )
    line = stage.network.numbers[OUR_NUMBER]
    assert done == 0
    assert line.voice_url.startswith(f"{PUBLIC_URL}/twilio/voice#")
    assert (line.fallback_url, line.status_callback) == (f"{BINS}/twiml/EH2", f"{PUBLIC_URL}/twilio/status")
    assert said[0].startswith(f"{OUR_NUMBER} asks {PUBLIC_URL}/twilio/voice")


async def test_without_a_number_it_says_whom_each_asks_and_how_to_be_safe(stage: Stage):
    stage.network.numbers["+12025550101"] = Line("https://somebody.example/else")
    said: list[str] = []
    assert await set_up(configuration(stage), None, fallback=None, after_message=None, say=said.append) == 0
    assert said[0].startswith(f"{OUR_NUMBER} asks this server. When that does not answer, the call ends")
    assert said[1] == f"{TAKERS_NUMBER} is for people who take callers of support."
    assert "asks https://somebody.example/else, not this server" in said[2]
    assert "<Response><Hangup /></Response>" in said[3]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"number": "+12025550199"},
            "+12025550199 is no number of this account. There is: +12025550100, +1202",
        ),
        ({"fallback": f"{PUBLIC_URL}/twilio/voice"}, "is this server's own address, and would not answer either"),
        ({"fallback": "handler.twilio.com/twiml/EH2"}, "is not an https address"),
        ({"after_message": "EH2"}, "is not an https address"),
    ],
)
async def test_what_cannot_be_is_told_with_what_to_do(stage: Stage, asked: dict[str, str], words: str):
    said: list[str] = []
    given = {"number": OUR_NUMBER, "fallback": None, "after_message": None, **asked}
    assert await set_up(configuration(stage), say=said.append, **given) == 2
    assert words in said[0]


async def test_a_twilio_that_refuses_is_told_in_one_line(stage: Stage):
    said: list[str] = []
    wrong = {**stage.environment, "TWILIO_AUTH_TOKEN": "another"}
    assert await set_up(load_all(wrong, None), None, fallback=None, after_message=None, say=said.append) == 1
    assert said == ["Twilio: Authenticate (Twilio 20003, HTTP 401)"]


@pytest.mark.parametrize("answers", [True, False])
async def test_a_caller_gets_a_person_or_the_recorder_when_nothing_of_ours_answers(stage: Stage, answers: bool):
    documents: list[str] = []
    await set_up(configuration(stage), None, fallback=None, after_message=f"{BINS}/twiml/EH1", say=documents.append)
    await set_up(
        configuration(stage), OUR_NUMBER, fallback=f"{BINS}/twiml/EH2", after_message=None, say=documents.append
    )
    stage.connect("http://127.0.0.1:9")  # the discard port: nobody listens
    end = "<Response><Hangup/></Response>"
    async with kept_at_twilio(stage, EH1=end, EH2=documents[0]):
        person = Person("answer" if answers else "busy", after=0.1, hangs_up_after=0.3)
        call = await stage.network.call("+442079460123", OUR_NUMBER, people={ANNA: person})
        if answers:
            await call.until("bridged")
            await call.hang_up()
        else:
            await call.until("recording", timeout=30)
            await call.say(speak("Please call me back."))
            await call.press("#")
        await call.ended()
        asked = [note.data["url"] for note in call.journal.of(call.sid) if note.what == "asks"]
        assert asked.count(f"{BINS}/twiml/EH2") == 1
        assert (f"{BINS}/twiml/EH1" in asked) is not answers
