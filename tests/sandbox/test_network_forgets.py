"""Calls that are over can be let go of, so that thousands can be played."""

import asyncio

from our_server import document, world


async def test_a_call_that_is_forgotten_leaves_nothing_behind():
    async with world() as w:
        w.server.documents["/voice"] = document("<Pause length='1'/><Reject/>")
        one, other = await asyncio.gather(w.call(), w.call())
        await asyncio.gather(one.ended(), other.ended())
        w.net.forget(one)
        assert w.net.calls == [other]
        assert w.journal.of(one.sid) == []
        assert {note.call_sid for note in w.journal.notes if note.call_sid} == {other.sid}
        assert (await w.rest("GET", f"Calls/{one.sid}.json"))[0] == 404
        assert (await w.rest("GET", f"Calls/{other.sid}.json"))[0] == 200
