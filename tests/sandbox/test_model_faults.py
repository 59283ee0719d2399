"""The model breaks, in each of its ways."""

import pytest
from pipecat.services.openai.realtime import events as pipecat_events
from realtime_client import Client, greeting, session, types
from websockets.exceptions import ConnectionClosed

from sandbox.brain import Fault, Say


async def end_of(client: Client) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as closed:
        await client.until("the end")
    return closed.value


async def test_a_server_error_fails_the_response_and_the_session_goes_on():
    async with session([Say("I am"), Fault("error_event"), Say("never said")], greeting()) as client:
        events = await client.respond()
        again = await client.respond()
    (error,) = [event["error"] for event in events if event["type"] == "error"]
    assert error["type"] == "server_error"
    assert events[-2]["response"]["status"] == "failed"
    assert [item["content"][0]["transcript"] for item in events[-2]["response"]["output"]] == ["I am"]
    assert again[-2]["response"]["status"] == "completed"


async def test_a_closed_session_ends_with_1001_behind_what_was_said():
    async with session([Say("I am"), Fault("close")]) as client:
        await client.send("response.create")
        closed = await end_of(client)
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1001
    assert types(client.received)[-1] == "response.output_item.done"


async def test_an_expired_session_says_so_first():
    async with session([Fault("expire")]) as client:
        await client.send("response.create")
        await end_of(client)
    assert client.received[-1]["error"]["code"] == "session_expired"


async def test_an_aborted_session_ends_without_a_close_frame():
    async with session([Fault("abort")]) as client:
        await client.send("response.create")
        assert (await end_of(client)).rcvd is None


async def test_a_hanging_session_stays_open_and_says_nothing_more():
    async with session([Say("I am"), Fault("hang")]) as client:
        await client.send("response.create")
        await client.until("response.output_item.done")
        await client.send("response.create")
        await client.send("response.cancel")
        pong = await client.socket.ping()
        await pong
        with pytest.raises(TimeoutError):
            await client.next(within=0.3)


async def test_an_event_that_pipecat_cannot_parse_does_not_end_the_response():
    async with session([Fault("unparsable"), Say("Hello!")]) as client:
        events = await client.respond()
    assert events[-2]["response"]["status"] == "completed"
    (unparsable,) = [e for e in events if e.get("item", {}).get("type") == "mcp_list_tools"]
    with pytest.raises(ValueError, match=r"item\.type"):
        pipecat_events.ConversationItemAdded.model_validate(unparsable)


async def test_a_session_can_be_closed_with_another_code():
    async with session([Fault("close_1011")]) as client:
        await client.send("response.create")
        closed = await end_of(client)
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1011


async def test_a_session_without_quota_says_so_and_gives_no_more_answers():
    async with session([Fault("fatal_error")]) as client:
        await client.send("response.create")
        await client.until("error")
        await client.send("response.create")
        with pytest.raises(TimeoutError):
            await client.next(within=0.3)
    assert client.received[-1]["error"]["code"] == "insufficient_quota"


async def test_a_stalled_session_sends_everything_afterwards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sandbox.outlet.STALL_SECONDS", 0.4)
    async with session([Fault("stall"), Say("Hello!")]) as client:
        await client.send("response.create")
        await client.until("response.created")
        with pytest.raises(TimeoutError):
            await client.next(within=0.2)
        await client.until("response.done")
