"""A call's steps and the record: which of them is right when they differ."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from calls import POLICY, Story

from bot.call import Call, Phase
from bot.ledger import Entry, Ledger
from bot.steps import Steps


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db")
    yield opened
    await opened.close()


def steps_of(call: Call, version: int, ledger: Ledger) -> Steps:
    return Steps(
        call,
        version,
        policy=POLICY,
        ledger=ledger,
        notices=lambda before, after: (),
        made=lambda before, after, event: None,
        caught_up=lambda before: None,
    )


async def test_the_record_is_right_also_where_more_steps_were_counted_here_than_it_took(ledger: Ledger):
    call = Story().seeking().call
    await ledger.add(call, Entry(0.0, "first", {}, call.phase, True))
    gone_on = replace(call, phase=Phase.BOT, nobody=1)
    await ledger.save(gone_on, 1, Entry(1.0, "elsewhere", {}, Phase.BOT, True))
    steps = steps_of(call, 5, ledger)
    await steps.reread()
    assert steps.call == gone_on


async def test_what_was_read_a_while_ago_does_not_undo_a_later_step(ledger: Ledger):
    call = Story().seeking().call
    steps = steps_of(call, 5, ledger)
    steps.catch_up(replace(call, phase=Phase.BOT), 4)
    assert steps.call == call
