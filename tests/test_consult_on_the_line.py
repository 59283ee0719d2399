"""Mode `consult` over real sockets: a person talks with the bot on a stream of their own, and then decides."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from serving import serving
from twilio.request_validator import RequestValidator

from bot import consulting
from bot.tokens import Seal, StreamTokens
from sandbox.check import Played, problems
from sandbox.people import Person
from sandbox.stage import ACCOUNT_SID, AUTH_TOKEN, PUBLIC_URL, Stage
from sandbox.story import Act, Step, Story, Then, load

SIGN = RequestValidator(AUTH_TOKEN).compute_signature
AT_ONCE = 3
"""How many are played at a time: each has two streams."""

EXPERT, OTHER = "+12025550191", "+12025550192"
STORY = load("consulted")


def asks(*consult: Step, people: dict[str, list[Person]] | None = None, then: tuple[Step, ...] = ()) -> Story:
    """A caller who asks for the expert at once, and what is said on the expert's stream."""
    asked = [Act(say="Right away."), Act.model_validate({"call": "hand_off", "with": {"target": "expert"}})]
    return Story(
        title="asks",
        script=[Step(bot="Hello!"), Step(caller="An expert, please."), Step(bot=asked), *then],
        consult=list(consult),
        people={EXPERT: [Person("answer", after=0.3, hangs_up_after=1.0)], OTHER: [Person("busy")], **(people or {})},
        then=Then(end="", redirects=0),
    )


def does(call: str, **arguments: str) -> Step:
    return Step(bot=[Act(say="Very well."), Act.model_validate({"call": call, "with": arguments})])


SATISFIED = Step(hang_up=True, after=0.5)
LEAVES = Step(hang_up=True, when="leg ended", after=1.5)
CONSULTED = (Step(bot="A caller asks for you."), Step(caller="I see."))

STORIES = {
    "consulted": STORY,
    "declines": asks(*CONSULTED, does("decline", reason="lunch"), then=(Step(bot="A pity."), SATISFIED)),
    "message": asks(
        *CONSULTED, does("take_message", text="Come tomorrow at nine."), then=(Step(bot="Come tomorrow."), SATISFIED)
    ),
    "key 1": asks(Step(bot="A caller asks for you."), Step(press="1", when="speech started")),
    "key 2": asks(Step(bot="A caller asks for you."), Step(press="2", when="speech started"), then=(LEAVES,)),
    "by habit": asks(),
    "hangs up": asks(*CONSULTED, Step(hang_up=True), then=(LEAVES,)),
    "model dies": asks(Step(bot=[Act(fault="close_1011")])),
    "caller leaves": asks(
        Step(bot="A caller asks for you."), Step(caller="I see."), then=(Step(hang_up=True, when="answers", after=2.0),)
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Played]]:
    at_once = asyncio.Semaphore(AT_ONCE)

    async def play(stage: Stage, name: str) -> Played:
        async with at_once:
            result = await stage.play(name, STORIES[name])
            while any(leg.live for leg in result.call.called):
                await asyncio.sleep(0.05)
        return result

    folder: Path = tmp_path_factory.mktemp("consult")
    async with Stage() as stage, serving(stage, folder, LOG_LEVEL="WARNING"):
        results = await asyncio.gather(*(play(stage, name) for name in STORIES))
    yield {result.name: result for result in results}


def attempts(result: Played) -> list[str]:
    return [attempt["outcome"] for attempt in result.record["attempts"]]


def whispered(result: Played) -> bool:
    """Whether a person was told by Twilio's voice who calls, and so was asked for a key."""
    return any("would like to speak to you" in note.data["text"] for note in result.of("network", "says"))


def known(result: Played) -> str:
    return result.sessions[-1].text


@pytest.mark.timeout(200)
def test_the_person_asks_the_bot_and_takes_the_call(played: dict[str, Played]):
    result = played["consulted"]
    assert problems(result, on_time=False) == []
    [attempt] = result.record["attempts"]
    assert attempt["consulted_at"] <= attempt["accepted_at"] <= attempt["consulted_until"] <= attempt["bridged_at"]


def test_who_declines_in_words_is_followed_by_the_next_and_the_bot_knows_why(played: dict[str, Played]):
    result = played["declines"]
    assert attempts(result) == ["declined", "busy"]
    assert result.record["attempts"][0]["why"] == "lunch"
    assert '"lunch"' in known(result)
    assert result.call.bridged_to is None


def test_a_message_reaches_the_caller_s_bot_which_speaks_of_it(played: dict[str, Played]):
    result = played["message"]
    assert attempts(result) == ["declined", "busy"]
    assert result.record["attempts"][0]["message"] == "Come tomorrow at nine."
    assert "Come tomorrow at nine." in known(result)
    assert "Come tomorrow." in [line["text"] for line in result.record["transcript"]]


@pytest.mark.parametrize("name", ["key 1", "by habit"])
def test_key_1_takes_the_call_in_the_middle_of_a_sentence(played: dict[str, Played], name: str):
    result = played[name]
    assert attempts(result) == ["answered"]
    assert (result.record["end"], result.call.bridged_to) == ("put_through", EXPERT)


def test_key_2_declines(played: dict[str, Played]):
    assert attempts(played["key 2"]) == ["declined", "busy"]


def test_who_hangs_up_while_talking_with_the_bot_has_not_taken_the_call(played: dict[str, Played]):
    result = played["hangs up"]
    assert attempts(result) == ["no_answer", "busy"]
    assert result.call.bridged_to is None


def test_who_talks_with_a_model_that_dies_is_asked_for_a_key(played: dict[str, Played]):
    result = played["model dies"]
    assert whispered(result)
    assert attempts(result) == ["answered"]
    assert result.call.bridged_to == EXPERT


def test_a_caller_who_leaves_ends_the_talk_and_the_person_is_told(played: dict[str, Played]):
    result = played["caller leaves"]
    assert attempts(result) == ["caller_gone"]
    assert any("not waiting any more" in note.data["text"] for note in result.of("network", "says"))


async def test_a_person_who_says_nothing_is_asked_for_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consulting, "IDLE_SECONDS", 1.0)
    silent = asks(Step(bot="A caller asks for you."))
    async with Stage() as stage, serving(stage, tmp_path, LOG_LEVEL="WARNING"):
        result = await stage.play("silent", silent)
    assert whispered(result)
    assert attempts(result) == ["answered"]


# --- who may open such a stream -----------------------------------------------------------------------------------

PERSON = f"CA{9:032x}"


def socket_start(token: str, *, call: str, leg: str = PERSON) -> list[str]:
    """What Twilio says first on a person's stream."""
    start = {
        "streamSid": f"MZ{1:032x}",
        "callSid": leg,
        "accountSid": ACCOUNT_SID,
        "customParameters": {"consultation": token, "call": call},
    }
    return [json.dumps({"event": "connected"}), json.dumps({"event": "start", "start": start})]


async def is_closed_at_once(stage: Stage, messages: list[str]) -> bool:
    """Whether our server closes a stream that begins so, without a word."""
    url = f"{PUBLIC_URL.replace('http', 'ws')}/twilio/media"
    headers = {"X-Twilio-Signature": SIGN(url, {})}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{stage.server_url.replace('http', 'ws')}/twilio/media", headers=headers) as socket,
    ):
        for message in messages:
            await socket.send_str(message)
        with contextlib.suppress(TimeoutError):
            return (await socket.receive(timeout=3)).type is not aiohttp.WSMsgType.TEXT
    return False


async def test_a_stream_with_a_token_that_is_forged_another_s_or_used_is_refused(tmp_path: Path):
    story = asks(Step(bot="A caller asks for you."))
    tokens = StreamTokens(Seal.from_auth_token(AUTH_TOKEN, "consultation"))
    streams = StreamTokens.from_auth_token(AUTH_TOKEN)
    async with Stage() as stage, serving(stage, tmp_path, LOG_LEVEL="ERROR"):
        playing = asyncio.create_task(stage.play("refused", story))
        started = await stage.journal.until(
            lambda note: note.what == "stream started" and note.call_sid != stage.network.calls[0].sid, timeout=40
        )
        [call, person, *_] = stage.network.calls
        assert started.call_sid == person.sid
        key, now = f"{call.sid} {person.sid}", time.time()
        good = tokens.make(key, 1, now)
        refused = {
            "used": socket_start(good, call=call.sid, leg=person.sid),
            "another leg's": socket_start(good, call=call.sid),
            "another attempt's": socket_start(tokens.make(key, 2, now), call=call.sid, leg=person.sid),
            "expired": socket_start(tokens.make(key, 1, now - 1000), call=call.sid, leg=person.sid),
            "a caller's": socket_start(streams.make(call.sid, 1, now), call=call.sid, leg=call.sid),
            "nobody's call": socket_start(tokens.make(f"nobody {PERSON}", 1, now), call="nobody"),
            "forged": socket_start("1.9999999999.00", call=call.sid, leg=person.sid),
            "empty": socket_start("", call=call.sid, leg=person.sid),
        }
        for name, messages in refused.items():
            assert await is_closed_at_once(stage, messages), name
        assert person.stream is not None, "the person's own stream goes on"
        await call.hang_up()
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
