"""What leads to a person besides the model."""

from dataclasses import replace

import pytest
from calls import POLICY, Story
from hypothesis import example, given, strategies as st

from bot import events as ev
from bot.call import By, Phase
from bot.routing import Triggers
from bot.triggers import is_angry, plain, says


def asked_by(story: Story) -> By | None:
    return story.call.handoffs[-1].by if story.call.handoffs else None


def test_a_key_leads_to_its_target_without_any_model():
    story = Story().with_bot().happens(ev.KeyPressed, digit="0")
    assert (story.call.phase, story.call.handoffs[-1].target, asked_by(story)) == (Phase.LEAVING, "desk", By.KEY)
    assert Story().with_bot().happens(ev.KeyPressed, digit="5").call.phase is Phase.BOT


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("I want to speak to a person, please!", "desk"),
        ("A PERSON.", "desk"),
        ("¿Puedo hablar con un agente?", "billing"),
        ("a personal matter", None),
        ("it is person a", None),
    ],
)
def test_a_phrase_leads_to_its_target_as_a_whole_and_in_its_order(words: str, target: str | None):
    story = Story().with_bot().happens(ev.CallerSaid, text=words)
    assert (story.call.handoffs[-1].target if story.call.handoffs else None) == target
    assert asked_by(story) in (None, By.PHRASE)


@pytest.mark.parametrize(
    "words",
    [
        "This is ridiculous.",
        "I am SICK of this",
        "WHERE IS MY ORDER NOW",
        "Hello??!",
        "Das ist eine Unverschämtheit, eine Frechheit!",
        "C'est inadmissible",
        "¡Es inaceptable!",
    ],
)
def test_anger_is_heard_by_rules(words: str):
    assert is_angry(words)
    assert asked_by(Story().with_bot().happens(ev.CallerSaid, text=words)) is By.ANGER


@pytest.mark.parametrize("words", ["Where is my order?", "OK", "NASA sent it.", "I need a lawn mower!", "Great!!"])
def test_what_is_not_angry_is_not_taken_for_it(words: str):
    assert not is_angry(words)


def test_turns_that_nobody_understood_lead_to_a_person_when_they_follow_one_another():
    story = Story().with_bot()
    for text in ("", "Hm?", "", "…"):
        assert story.happens(ev.CallerSaid, text=text).call.phase is Phase.BOT
    assert asked_by(story.happens(ev.CallerSaid, text=" ")) is By.UNCLEAR


def test_tools_that_fail_one_after_the_other_lead_to_a_person():
    story = Story().with_bot()
    for failed in (True, False, True):
        assert story.happens(ev.ToolEnded, name="order_status", failed=failed).call.phase is Phase.BOT
    story.happens(ev.ToolEnded, name="order_status", failed=True)
    assert (asked_by(story), story.call.handoffs[-1].target) == (By.TOOLS, "billing")


def test_silence_leads_to_a_person():
    assert asked_by(Story().with_bot().happens(ev.LineSilent)) is By.SILENCE


def test_two_triggers_at_once_are_one_hand_off():
    story = Story().with_bot().happens(ev.KeyPressed, digit="0")
    before = story.call
    story.happens(ev.CallerSaid, text="a person, this is ridiculous").happens(ev.LineSilent).asks("billing")
    story.happens(ev.KeyPressed, digit="0").happens(ev.ToolEnded, name="t", failed=True)
    assert (story.call, story.effects) == (before, ())


def test_counts_begin_again_with_a_hand_off():
    story = Story().with_bot().happens(ev.CallerSaid, text="").happens(ev.CallerSaid, text="")
    assert story.call.unclear == 2
    assert story.asks().call.unclear == 0


def test_without_rules_nothing_leads_anywhere():
    story = Story(replace(POLICY, triggers=Triggers())).with_bot()
    before = story.call
    for fact in (
        {"kind": ev.KeyPressed, "digit": "0"},
        {"kind": ev.CallerSaid, "text": "A PERSON!!! This is ridiculous"},
        {"kind": ev.LineSilent},
    ):
        story.happens(**fact)
    assert story.call == before


@given(st.text(max_size=200))
@example("\U0001d4d0")
@example("\u0130")
def test_any_text_can_be_read(text: str):
    assert plain(plain(text)) == plain(text)
    assert says(plain(text), plain(text)) is bool(plain(text))
    is_angry(text)
