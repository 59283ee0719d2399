"""What stands in `handoff.yaml` about queues, and the documents, words and music that come of it."""

import io
import json
import wave
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from calls import CALLER, POLICY, QUEUE, SID, US, Story

from bot import effects as ef, queue_twiml, twiml
from bot.addresses import Addresses
from bot.call import Attempt, By, Call, Handoff, Phase
from bot.carried import Carried
from bot.hold_music import hold_music
from bot.phrases import LANGUAGES
from bot.policy_file import load_policy
from bot.queue_rules import Leave, Queue
from bot.queue_words import announcement, queue_words, waiting
from bot.routing import Endpoint, Policy
from bot.tokens import Seal
from bot.xml_text import INLINE_LIMIT
from pipelines.problems import ConfigurationError

AT = Addresses("https://bot.example", state="x" * 500)
WORKFLOW = "WW" + "a1" * 16

FILE = """
targets:
  desk:
    description: Everything.
    numbers: ["+442079460101"]
  support:
    description: Problems.
    mode: queue
    queue: {QUEUE}
    MORE
default: desk
"""


def read(tmp_path: Path, queue: str, more: str = "") -> Policy:
    path = tmp_path / "handoff.yaml"
    path.write_text(FILE.replace("{QUEUE}", queue).replace("MORE", more))
    return load_policy(path, {})


def verbs(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(document)


# --- the file ------------------------------------------------------------------------------------------


def test_a_queue_is_read_with_everything_that_can_be_said_of_it(tmp_path: Path):
    rules = (
        "{name: support line, max_wait: 900, announce_every: 45, music: 'https://example.com/a.mp3', language: de, "
        "leave_key: 7, leave: bot}"
    )
    target = read(tmp_path, rules, 'numbers: ["+442079460108", {client: robin}]').targets["support"]
    people = (Endpoint("+442079460108", 20), Endpoint("client:robin", 20))
    assert target.queue == Queue("support line", "", 900, 45, "https://example.com/a.mp3", "de", "7", Leave.BOT, people)
    assert target.endpoints == (Endpoint("queue:support line", 900),)
    assert target.people == people


def test_a_queue_needs_no_people_and_a_workflow_has_its_own(tmp_path: Path):
    assert read(tmp_path, "{name: support}").targets["support"].people == ()
    queue = read(tmp_path, f"{{workflow: {WORKFLOW}, task_attributes: {{team: b}}}}").targets["support"].queue
    assert queue is not None
    assert (queue.name, queue.workflow, queue.attributes) == ("", WORKFLOW, {"team": "b"})


REFUSED = {
    "neither name nor workflow": ("{}", "", "has no name"),
    "both": (f"{{name: a, workflow: {WORKFLOW}}}", "", "says name and workflow"),
    "a strange name": ("{name: 'a,b'}", "", "cannot be a queue's name"),
    "no workflow": ("{workflow: WW12}", "", "is no workflow's SID"),
    "a strange key": ("{name: a, leave_key: star}", "", "is no key of a telephone"),
    "no address": ("{name: a, music: jazz}", "", "which is no address"),
    "no such language": ("{name: a, language: xx}", "", "in which we have no words"),
    "attributes for nobody": ("{name: a, task_attributes: {a: b}}", "", "which are for a workflow"),
    "a workflow with numbers": (f"{{workflow: {WORKFLOW}}}", 'numbers: ["+442079460108"]', "TaskRouter knows"),
    "machines": ("{name: a}", "machine_detection: true", "`machine_detection`"),
    "a failsafe that nobody answers": ("{name: a}", "\nfailsafe_target: support", "which is a queue"),
    "a take-over that nobody answers": ("{name: a}", "\ntake_over: support", "which is a queue"),
    "callbacks that are not made": ("{name: a, leave: callback}", "", "no `callback`"),
}


@pytest.mark.parametrize(("queue", "more", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_with_a_queue_is_said_at_start(tmp_path: Path, queue: str, more: str, words: str):
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, queue, more)
    assert words in " ".join(str(refused.value).split())


def test_a_mode_without_its_queue_and_a_queue_without_its_mode_are_refused(tmp_path: Path):
    path = tmp_path / "handoff.yaml"
    for written, words in (("    queue: {QUEUE}\n", "has no `queue`"), ("    mode: queue\n", "and another mode")):
        path.write_text(FILE.replace(written, "").replace("{QUEUE}", "{name: a}").replace("    MORE\n", ""))
        with pytest.raises(ConfigurationError) as refused:
            load_policy(path, {})
        assert words in " ".join(str(refused.value).split())


# --- documents -----------------------------------------------------------------------------------------


def test_the_caller_is_put_into_the_queue_and_every_end_of_it_is_asked_about():
    story = Story().redirecting("support")
    document = twiml.document(ef.Enqueue(1), story.call, POLICY, AT)
    [enqueue] = verbs(document)
    assert (enqueue.tag, enqueue.text) == ("Enqueue", "support")
    assert enqueue.get("action", "").startswith("https://bot.example/twilio/waiting/left?attempt=1&state=")
    assert enqueue.get("waitUrl", "").startswith("https://bot.example/twilio/waiting/wait?attempt=1&state=")


@pytest.mark.parametrize("summary", ['<&"> \x00 ' * 600, "ü" * 5000, "ok"])
def test_a_workflow_is_told_of_the_caller_in_a_document_that_a_redirect_can_carry(summary: str):
    queue = Queue(workflow=WORKFLOW, attributes={"team": "support", "call_sid": "not this"})
    support = replace(POLICY.targets["support"], queue=queue, endpoints=(Endpoint(queue.address, 60),))
    policy = replace(POLICY, targets={"support": support, "desk": POLICY.targets["desk"]})
    handoff = Handoff("support", "refund", summary, By.MODEL, 1.0, wants=("es",))
    call = Call(
        SID,
        CALLER,
        US,
        1.0,
        Phase.REDIRECTING,
        handoffs=(handoff,),
        attempts=(Attempt("support", queue.address, 1.0, handoff=1),),
    )
    document = twiml.document(ef.Enqueue(1), call, policy, AT)
    assert len(document) <= INLINE_LIMIT
    [enqueue] = verbs(document)
    assert enqueue.get("workflowSid") == WORKFLOW
    [task] = enqueue
    told = json.loads(task.text or "")
    assert (told["team"], told["call_sid"], told["reason"], told["wants"]) == ("support", SID, "refund", ["es"])
    assert told["summary"]


def wait(queue: Queue = QUEUE, **facts: int) -> tuple[ElementTree.Element, int]:
    given = {"position": 1, "waited": 0, "average": 0, **facts}
    document, told = queue_twiml.wait(1, queue, AT, **given)
    return verbs(document), told


def test_who_waits_hears_where_they_are_and_music_until_they_are_told_again():
    document, told = wait(position=2)
    [gather] = document
    assert gather.get("finishOnKey") == "", "a hash is a key like others"
    assert gather.get("numDigits") == "1"
    assert gather.get("action", "").startswith("https://bot.example/twilio/waiting/key?attempt=1")
    say, play = gather
    assert (say.text, say.get("language")) == ("You are number 2 in the queue. Press star to leave a message.", "en-US")
    assert play.text == "https://bot.example/twilio/waiting/music.wav?seconds=30"
    assert told == 0


def test_the_last_piece_of_music_ends_with_the_wait():
    document, _ = wait(waited=110)
    assert "seconds=10" in (document[0][-1].text or "")
    document, _ = wait(waited=120)
    assert [verb.tag for verb in document] == ["Leave"]


def test_the_operator_s_own_music_is_not_interrupted_more_often_than_they_want():
    queue = replace(QUEUE, music="https://example.com/short.mp3")
    document, told = wait(queue, waited=12, told=0)
    assert ([each.tag for each in document[0]], told) == (["Play"], 0)
    document, told = wait(queue, waited=31, told=0)
    assert ([each.tag for each in document[0]], told) == (["Say", "Play"], 31)


def test_who_takes_a_caller_dials_the_queue_and_a_mailbox_does_not():
    target = POLICY.targets["support"]
    at = Addresses("https://bot.example")
    document = verbs(queue_twiml.ask_to_take(target, "+442079460108", 3, at))
    assert [verb.tag for verb in document] == ["Gather", "Hangup"]
    [dial] = verbs(queue_twiml.take_next(target, QUEUE, "+442079460108", POLICY, at))
    [queue] = dial
    assert (queue.tag, queue.text) == ("Queue", "support")
    assert "/twilio/taker/connecting?target=support&who=%2B442079460108" in queue.get("url", "")


# --- words and music -----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_its_words(language: str):
    for position in (1, 7):
        for leave in Leave:
            text = announcement(language, position=position, waited=130, average=0, key="#", leave=leave)
            assert queue_words(language).hash in text
            assert "2" in text
            assert "{" not in text
    assert "4" in waiting(language, 4)
    assert announcement(language, position=0, waited=0, average=0, key="", leave=Leave.BOT) == ""


@pytest.mark.parametrize(("waited", "average", "words"), [(60, 300, "one minute"), (0, 150, "2 minutes"), (5, 5, "")])
def test_the_time_of_waiting_is_told_from_a_minute_on(waited: int, average: int, words: str):
    text = announcement("en", position=0, waited=waited, average=average, key="", leave=Leave.BOT)
    assert words in text
    assert bool(words) is bool(text)


@pytest.mark.parametrize("seconds", [1, 20, 300])
def test_the_music_is_as_long_as_it_has_to_be_and_never_too_loud(seconds: int):
    with wave.open(io.BytesIO(hold_music(seconds))) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getnframes()) == (8000, 1, 8000 * seconds)
        samples = memoryview(wav.readframes(wav.getnframes())).cast("h")
    assert 2000 < max(samples) < 16_000
    assert max(abs(sample) for sample in samples[-80:]) < 100, "it ends softly"


def test_a_process_that_knows_nothing_goes_on_with_the_wait_by_its_address():
    call = Story().queued().call
    seal = Seal.from_auth_token("token", "callback")
    carried = Carried.read(Carried.of(call).seal(SID, seal), SID, seal)
    assert carried is not None
    known = carried.new_call(SID)
    assert (known.phase, known.attempts[-1].number) == (Phase.QUEUED, "queue:support")
