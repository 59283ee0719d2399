"""Recording on the line: what is in the parts of a call, sample by sample, and that no part holds a word of the other.

For each mode of recording, every way to a person is played over real sockets; the tests look at what was recorded.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from serving import serving

from sandbox.check import Played, problems
from sandbox.network import Recording, RestFault
from sandbox.people import Person
from sandbox.stage import Stage
from sandbox.story import Act, Attempt, Step, Story, Then
from sandbox.voice import speak

ANNOUNCEMENT = "This call is recorded."
MODES = ["off", "bot", "person", "both"]
WHO = {"front_desk": "+12025550143", "billing": "+12025550199", "manager": "+12025550155"}
"""Who is rung of each target: the first is dialled, the second screened, the third attended."""

PERSON = "Good afternoon, this is Robin speaking."
ASKED = "I would like to talk to a person, please."
CHUNK = 200
"""Samples in 25 ms: so much of a voice is not in another by chance."""


def asks(target: str, *then: Step, people: dict[str, list[Person]], end: str, **more: object) -> Story:
    goodbye = [Act(say="Right away."), Act.model_validate({"call": "hand_off", "with": {"target": target}})]
    return Story(
        title=target,
        script=[Step(bot="Hello there!"), Step(caller=ASKED), Step(bot=goodbye), *then],
        people=people,
        then=Then.model_validate({"end": end, "redirects": 1, **more}),
    )


def reached(target: str) -> Story:
    person = Person(after=0.6, hangs_up_after=3.0, says=PERSON)
    attempts = [Attempt(number=WHO[target], outcome="answered")]
    return asks(target, people={WHO[target]: [person]}, end="put_through", attempts=attempts)


def nobody_comes() -> Story:
    busy = {number: [Person("busy")] for number in ("+12025550143", "+12025550178")}
    back = [Step(bot="Nobody is there."), Step(caller="Goodbye then."), Step(hang_up=True, after=0.3)]
    attempts = [{"number": number, "outcome": "busy"} for number in busy]
    return asks("front_desk", *back, people=busy, end="caller_hung_up", sessions=2, attempts=attempts)


STORIES = {**{target: reached(target) for target in WHO}, "nobody": nobody_comes()}


def policy(folder: Path, mode: str) -> str:
    """The sandbox's policy, with recording."""
    told = "" if mode == "off" else f", announcement: {ANNOUNCEMENT}"
    path = folder / "handoff.yaml"
    path.write_text(Path("sandbox/handoff.yaml").read_text() + f"\nrecording: {{mode: {mode}{told}}}\n")
    return str(path)


@dataclass(frozen=True)
class Recorded:
    """One story in one mode."""

    mode: str
    played: Played
    recordings: list[Recording]

    @property
    def bot(self) -> list[Recording]:
        """In the order of their beginning. A screened person is recorded by an order as well, after the bot."""
        order = [note.data["sid"] for note in self.played.of("network", "recording starts")]
        known = {each.sid: each for each in self.recordings}
        parts = {entry["url"][-34:]: entry["part"] for entry in self.played.record["recordings"]}
        return [known[sid] for sid in order if parts.get(sid) == "bot"]

    @property
    def person(self) -> list[Recording]:
        bot = {each.sid for each in self.bot}
        return [each for each in self.recordings if each.sid not in bot]

    def at(self, what: str, lane: str = "network") -> float:
        return self.played.of(lane, what)[0].at


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=MODES)
async def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Recorded]]:
    folder = tmp_path_factory.mktemp(request.param)
    async with Stage() as stage, serving(stage, folder, HANDOFF_POLICY=policy(folder, request.param)):
        played = await asyncio.gather(*(stage.play(name, story) for name, story in STORIES.items()))
        made = [*stage.network.recordings.values()]
        yield {
            each.name: Recorded(request.param, each, [r for r in made if r.call_sid == each.call.sid])
            for each in played
        }


def channels(recording: Recording) -> list[bytes]:
    pcm = recording.pcm if recording.pcm.ndim == 2 else recording.pcm[:, None]
    return [pcm[:, n].tobytes() for n in range(pcm.shape[1])]


def chunks(sound: np.ndarray) -> list[bytes]:
    """A sound in pieces that can be recognised; the silent ones left out."""
    pieces = [sound[at : at + CHUNK] for at in range(0, len(sound) - CHUNK, CHUNK)]
    return [piece.tobytes() for piece in pieces if np.count_nonzero(piece) > CHUNK // 2]


def share(sound: np.ndarray, recording: Recording) -> float:
    """How much of a sound is in a recording, from 0 to 1."""
    pieces = chunks(sound)
    return sum(any(piece in channel for channel in channels(recording)) for piece in pieces) / len(pieces)


def of_the_bot(played: Played) -> np.ndarray:
    """Everything that the caller heard until the last media stream was over."""
    return heard(played, 0.0, played.of("network", "stream ended")[-1].at)


def goodbye_of(played: Played) -> np.ndarray:
    """What the bot said last before the caller was moved."""
    moved = played.redirects[0].at
    begins = max(note.at for note in played.of("bot", "speech started") if note.at < moved)
    return heard(played, begins, moved)


def heard(played: Played, since: float, until: float) -> np.ndarray:
    ear = played.call.ear
    began = played.call.journal.at(ear.began_at)
    first, last = (max(round((at - began) * 8000), 0) for at in (since, until))
    sound = ear.read(first, last)
    assert sound is not None
    return sound


PERSONS = speak(PERSON, voice="person")
CALLERS = speak(ASKED, voice="caller")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", list(STORIES))
def test_the_call_is_what_it_is_without_recording(recorded: dict[str, Recorded], name: str):
    assert problems(recorded[name].played, on_time=False) == []


@pytest.mark.parametrize("name", list(STORIES))
def test_the_parts_that_are_wanted_are_recorded_and_no_others(recorded: dict[str, Recorded], name: str):
    it = recorded[name]
    bot = 2 if name == "nobody" else 1  # the caller is with the bot twice
    person = 0 if name == "nobody" else 1
    wanted = (bot * (it.mode in ("bot", "both")), person * (it.mode in ("person", "both")))
    assert (len(it.bot), len(it.person)) == wanted
    told = sorted((each["part"], bool(each["url"]), each["seconds"] > 0) for each in it.played.record["recordings"])
    assert told == sorted([("bot", True, True)] * wanted[0] + [("person", True, True)] * wanted[1])
    assert not any(each["overran"] or each["failed"] for each in it.played.record["recordings"])


@pytest.mark.parametrize("name", list(STORIES))
def test_callers_are_told_once_and_before_the_bot_is_there(recorded: dict[str, Recorded], name: str):
    it = recorded[name]
    said = [note for note in it.played.of("network", "says") if note.data["text"] == ANNOUNCEMENT]
    assert len(said) == (it.mode != "off")
    assert all(note.at < it.at("stream started") for note in said)


@pytest.mark.parametrize("name", list(STORIES))
def test_the_bot_s_part_has_caller_and_bot_and_ends_before_the_caller_is_moved(
    recorded: dict[str, Recorded], name: str
):
    it = recorded[name]
    if not it.bot:
        assert it.mode in ("off", "person")
        return
    assert share(CALLERS, it.bot[0]) > 0.9
    ends = min(note.at for note in it.played.of("network", "recording ends") if note.data["sid"] == it.bot[0].sid)
    assert ends <= it.played.redirects[0].at
    assert share(goodbye_of(it.played), it.bot[0]) > 0.9


@pytest.mark.parametrize("name", list(WHO))
def test_nothing_of_the_person_is_in_the_bot_s_part(recorded: dict[str, Recorded], name: str):
    for each in recorded[name].bot:
        assert share(PERSONS, each) == 0.0


@pytest.mark.parametrize("name", list(WHO))
def test_the_person_s_part_has_the_person_and_nothing_of_the_bot(recorded: dict[str, Recorded], name: str):
    it = recorded[name]
    for each in it.person:
        assert share(PERSONS, each) > 0.9
        assert share(of_the_bot(it.played), each) == 0.0
        begins = min(note.at for note in it.played.of("network", "recording starts") if note.data["sid"] == each.sid)
        assert begins > it.at("stream ended")
    if it.person and name == "billing":  # screened
        assert begins > it.at("presses", "person"), "the whisper is not in it"


@pytest.mark.parametrize("name", list(STORIES))
def test_the_record_says_when_each_part_began(recorded: dict[str, Recorded], name: str):
    it = recorded[name]
    entries = [entry for entry in it.played.record["timeline"] if entry["event"] == "RecordingReady"]
    assert len(entries) == len(it.recordings)
    assert all(each["began_at"] for each in it.played.record["recordings"])
    legs = [each["leg"] for each in it.played.record["recordings"] if each["part"] == "bot"]
    assert legs == list(range(1, len(legs) + 1))
    attempts = [each["attempt"] for each in it.played.record["recordings"] if each["part"] == "person"]
    assert attempts == [1] * len(attempts)


# --- when Twilio does not do it ----------------------------------------------------------------------------


async def test_a_call_that_cannot_be_recorded_goes_on(tmp_path: Path):
    async with Stage() as stage, serving(stage, tmp_path, HANDOFF_POLICY=policy(tmp_path, "bot")):
        stage.network.rest_faults.append(RestFault("401"))
        played = await stage.play("front_desk", STORIES["front_desk"])
    assert problems(played, on_time=False) == []
    [recording] = played.record["recordings"]
    assert (recording["failed"], recording["seconds"]) == (True, None)
    assert "RecordingNotBegan" in [entry["event"] for entry in played.record["timeline"]]
    assert [request.path for request in stage.network.rest_log if "Recordings/" in request.path] == []


async def test_an_order_to_stop_that_twilio_does_not_answer_keeps_the_caller_for_a_second_and_is_given_again(
    tmp_path: Path,
):
    async with Stage() as stage, serving(stage, tmp_path, HANDOFF_POLICY=policy(tmp_path, "bot")):
        story = reached("front_desk")
        person = Person(after=0.6, hangs_up_after=8.0, says=PERSON)
        story = story.model_copy(update={"people": {WHO["front_desk"]: [person]}})
        playing = asyncio.create_task(stage.play("slow", story))
        async with asyncio.timeout(20):
            while not stage.network.rest_log:  # the order to record
                await asyncio.sleep(0.02)
        stage.network.rest_faults.append(RestFault("hang"))
        played = await playing
    assert problems(played, on_time=False) == []
    [gap] = played.goodbye_gaps
    assert 0.9 < gap < 2.5
    [recording] = played.record["recordings"]
    assert recording["overran"]
    events = [entry["event"] for entry in played.record["timeline"]]
    assert events.index("RedirectAccepted") < events.index("RecordingStopped")
