"""What stands behind the `#` of a webhook's address says how Twilio asks, and how often."""

import asyncio

import pytest
from aiohttp import web
from our_server import PUBLIC, Asked, document, world

from sandbox.network import Line
from sandbox.overrides import BadOverrides, Overrides


def failing(times: int, status: int = 503):
    """An answer that is an error so many times."""
    left = [times]

    def answer(asked: Asked) -> str | web.Response:
        left[0] -= 1
        return web.Response(status=status) if left[0] >= 0 else document("<Hangup/>")

    return answer


async def test_a_webhook_is_tried_again_as_often_as_its_address_says():
    async with world() as w:
        w.net.numbers["ours"] = Line(f"{PUBLIC}/voice#rc=3&rp=5xx")
        w.server.documents["/voice"] = failing(3)
        call = await w.net.call("+447700900100", "ours")
        await call.ended()
        asked = w.server.asked_for("/voice")
        assert (len(asked), call.errors) == (4, [])
        assert all(one.signed for one in asked)


async def test_every_try_carries_the_same_token():
    async with world() as w:
        w.net.numbers["ours"] = Line(f"{PUBLIC}/voice#rc=1&rp=all")
        w.server.documents["/voice"] = failing(1, status=404)
        await (await w.net.call("+447700900100", "ours")).ended()
        tokens = [asked.headers["I-Twilio-Idempotency-Token"] for asked in w.server.asked_for("/voice")]
        assert len(tokens) == 2
        assert len(set(tokens)) == 1


@pytest.mark.parametrize(("fragment", "tries"), [("", 1), ("#rc=3&rp=rt,ct,4xx", 1), ("#rc=0&rp=all", 1)])
async def test_other_failures_than_those_that_are_named_are_final(fragment: str, tries: int):
    async with world() as w:
        w.net.numbers["ours"] = Line(f"{PUBLIC}/voice{fragment}")
        w.server.documents["/voice"] = failing(5)
        call = await w.net.call("+447700900100", "ours")
        await call.ended()
        assert len(w.server.asked_for("/voice")) == tries
        assert [code for code, _ in call.errors] == [11200]


async def test_a_server_that_is_not_there_is_tried_once_more_unless_the_address_says_otherwise():
    async with world() as w:
        w.net.routes[PUBLIC] = "http://127.0.0.1:9"  # the discard port: nobody listens
        call = await w.call()
        await call.ended()
        assert [note.what for note in w.journal.of(call.sid) if note.lane == "webhook"] == [
            "asks", "answered", "asks again", "answered",
        ]  # fmt: skip


async def test_an_answer_that_stands_still_is_given_up_after_the_time_that_the_address_says():
    async with world() as w:
        w.net.numbers["ours"] = Line(f"{PUBLIC}/voice#rt=200&rc=1&rp=rt")
        answered = failing(0)

        async def never(asked: Asked) -> str:
            if len(w.server.asked) == 1:
                await asyncio.sleep(5)
            return str(answered(asked))

        w.server.documents["/voice"] = never
        call = await w.net.call("+447700900100", "ours")
        await call.ended()
        assert len(w.server.asked_for("/voice")) == 2
        assert call.errors == []


@pytest.mark.parametrize("fragment", ["rc=6", "ct=50", "rp=sometimes", "tt=20000", "rt=soon"])
def test_what_twilio_does_not_take_is_refused(fragment: str):
    with pytest.raises(BadOverrides):
        Overrides.read_from(fragment)
