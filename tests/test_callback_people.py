"""Who is called for a callback where a system of the operator's knows who is there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fakes import ScriptedTelephony
from serving import serving
from test_callback import FIRST, NEW, RULED, SECOND, TAKES, Tale, done
from test_callback_held import ledger as ledger
from test_finder import ALLOW, SECRET, asked

from bot import callback as cb
from bot.addresses import Addresses
from bot.callback import CallbackOutcome, State
from bot.callbacks import Callbacks
from bot.finder import PeopleFinder
from bot.ledger import Ledger
from bot.outbound_book import in_pace
from bot.routing import Endpoint, Finder, Found, Policy
from sandbox.people import Person
from sandbox.stage import Stage
from sandbox.story import load

THERE = ("+442079460200", "+442079460201")
FOUND = (Found("doctor", tuple(Endpoint(number, 12) for number in THERE)),)


def finding(tale: Tale, found: tuple[Found, ...]) -> Tale:
    tale.at = max(tale.at, tale.callback.due_at)
    return tale.happens(cb.CameDue, found=found)


def test_one_try_asks_those_who_were_found_and_the_next_those_who_are_found_then():
    tale = finding(Tale(), FOUND).person("busy").due().person("declines")
    assert tale.called == [*THERE]
    assert tale.callback.round == 1
    tale = finding(tale, ()).person("busy").due().person("busy")
    assert tale.called == [*THERE, "+442079460104", "+442079460105"]
    assert tale.callback.outcome is CallbackOutcome.NOBODY


def resolving(url: str) -> Policy:
    doctor = replace(RULED.targets["doctor"], finder=Finder(url, ALLOW))
    return replace(RULED, targets={**RULED.targets, "doctor": doctor})


class Office:
    """Callbacks whose people are asked for."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        self.now, self.telephony = NEW.due_at, ScriptedTelephony()
        self.finder = PeopleFinder(SECRET, lambda: self.now)
        self.callbacks = Callbacks(
            ledger,
            self.telephony,
            Addresses("https://bot.example"),
            lambda called: resolving(url),
            clock=lambda: self.now,
            finder=self.finder,
        )

    async def works(self, after: float = 0.0) -> cb.Callback:
        self.now += after
        await self.callbacks.work()
        kept = await self.callbacks.read(NEW.uid)
        assert kept is not None
        return kept


async def test_the_operators_system_is_asked_once_in_a_try_and_rung_as_it_says(ledger: Ledger):
    async with asked(lambda request: {"numbers": [{"number": n, "ring_seconds": 12} for n in THERE]}) as (url, told):
        office = Office(ledger, url)
        callback = await office.works()
        assert [each.number for each in callback.tries] == [THERE[0]]
        assert office.telephony.calls[0].ring_seconds == 12
        await office.works()
        callback = await office.works(after=3600.0)
        assert callback.state is State.WAITING
        assert [each.number for each in (await office.works()).tries] == [*THERE]
        await office.finder.close()
    assert told == [
        {
            "call_sid": NEW.call_sid,
            "caller": NEW.number,
            "called": NEW.called,
            "target": "doctor",
            "by": "callback",
            "reason": NEW.reason,
            "summary": NEW.summary,
            "wants": [],
        }
    ]


@pytest.mark.parametrize("says", [web.Response(status=500), {"numbers": ["+12025550199"]}, {"numbers": []}])
async def test_the_numbers_of_the_file_are_called_when_it_does_not_say(ledger: Ledger, says: Any):
    async with asked(lambda request: says) as (url, told):
        office = Office(ledger, url)
        assert [each.number for each in (await office.works()).tries] == ["+442079460104"]
        await office.finder.close()
    assert len(told) == 1


async def test_it_is_not_asked_before_the_pace_allows_a_call(ledger: Ledger):
    async with asked(lambda request: {"numbers": [*THERE]}) as (url, told):
        office = Office(ledger, url)
        await ledger.transact(lambda connection: in_pace(connection, office.now))
        for _ in range(3):
            assert (await office.works(after=0.1)).state is State.WAITING
        assert told == []
        assert (await office.works(after=1.0)).state is State.PERSON
        await office.finder.close()


async def test_a_real_callback_calls_whoever_is_there(tmp_path: Path):
    rules = Path("sandbox/handoff.yaml").read_text()
    async with asked(lambda request: {"numbers": [SECOND]}) as (url, _), Stage() as stage:
        there = f'["{FIRST}", "{SECOND}"]\n'
        resolve = f'    resolve: {{url: "{url}", allow: ["+1202555*"]}}\n'
        assert there in rules
        path = tmp_path / "handoff.yaml"
        path.write_text(rules.replace(there, there + resolve))
        async with serving(stage, tmp_path, WEBHOOK_SECRET=SECRET, HANDOFF_POLICY=str(path)) as server:
            story = load("callback")
            caller = Person("answer", after=0.2, says="Yes?", hangs_up_after=0.5)
            stage.network.people.update({FIRST: TAKES, SECOND: TAKES, story.caller: caller})
            played = await stage.play("callback", story)
            told = await done(server, played.call.sid)
    assert [(each["number"], each["outcome"]) for each in told["tries"]] == [(SECOND, "joined")]
