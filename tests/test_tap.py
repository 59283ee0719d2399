"""Listening in on a media socket: everything passes to whoever listens, and the call waits for none of them."""

import asyncio

from streams import Tape, payload, settled

from bot.tap import AHEAD, FROM_BOT, FROM_CALLER, WAITING, Ear, Tap


async def taken(ear: Ear) -> list[str]:
    """What has come so far, all of it acknowledged."""
    messages: list[str] = []
    while True:
        try:
            async with asyncio.timeout(0.05):
                message = await ear.next()
        except TimeoutError:
            return messages
        if message is None:
            return [*messages, "end"]
        ear.taken(1)
        messages.append(message)


async def test_both_sides_reach_every_listener_and_the_call_is_as_it_was():
    tape, tap, heard = Tape(), Tap(), list[str | bytes]()
    wire = tap.on(tape)
    reading = asyncio.create_task(wire.receive(heard.append))
    await settled()
    tape.bring('{"event":"before"}')
    ears = [tap.join(), tap.join()]
    tape.bring('{"event":"media"}')
    wire.send('{"event": "clear"}')
    tape.bring(b"\0")
    tape.end()
    await reading
    assert heard == ['{"event":"before"}', '{"event":"media"}', b"\0"]
    assert tape.events == ["clear"]
    for ear in ears:
        assert await ear.next() is None
    assert not tape.closed
    await wire.close()
    assert tape.closed


async def test_a_listener_gets_what_passes_in_its_order_with_its_side():
    tap = Tap()
    wire, ear = tap.on(Tape()), tap.join()
    wire.send(f'{{"event":"media","media":{{"payload":"{payload(20)}"}}}}')
    tap.passes(FROM_CALLER, "1")
    tap.passes(FROM_BOT, "2")
    tap.leave(ear)
    tap.passes(FROM_BOT, "3")
    assert await ear.next() is None
    ear = tap.join()
    for n in range(3):
        tap.passes(FROM_CALLER, str(n))
    assert await taken(ear) == ["c0", "c1", "c2"]


async def test_a_listener_who_takes_nothing_misses_the_oldest_and_holds_nobody_up():
    tap = Tap()
    slow, other = tap.join(), tap.join()
    for n in range(WAITING + 100):
        tap.passes(FROM_CALLER, str(n))
    got = await taken(slow)
    assert (got[0], len(got)) == ("c100", WAITING)
    assert len(await taken(other)) == WAITING


async def test_no_more_is_on_the_way_than_a_listener_has_said_to_have_got():
    tap = Tap()
    ear = tap.join()
    for n in range(WAITING):
        tap.passes(FROM_CALLER, str(n))
    for _ in range(AHEAD):
        await ear.next()
    further = asyncio.create_task(ear.next())
    await settled()
    assert not further.done()
    ear.taken(25)
    assert await further == f"c{AHEAD}"


async def test_a_listener_who_waits_is_told_of_the_end():
    tap = Tap()
    waiting = asyncio.create_task(tap.join().next())
    await settled()
    tap.end()
    assert await waiting is None
