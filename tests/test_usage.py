"""Tokens by kind, and what they cost: by the operator's prices alone."""

from decimal import Decimal
from pathlib import Path

import pytest
from calls import CALLER, POLICY, SID, US
from pipecat.metrics.metrics import LLMTokenUsage

from bot.call import Call
from bot.prices import Prices, read_prices
from bot.record import Entry, Record, Stored
from pipelines.problems import ConfigurationError
from pipelines.usage import Usage
from web.console.access import Role
from web.console.render import Renderer

RESPONSE = {
    "total_tokens": 1200,
    "input_tokens": 1000,
    "output_tokens": 200,
    "input_token_details": {
        "text_tokens": 600,
        "audio_tokens": 400,
        "cached_tokens": 350,
        "cached_tokens_details": {"text_tokens": 250, "audio_tokens": 100},
    },
    "output_token_details": {"text_tokens": 50, "audio_tokens": 150},
}
"""What `response.done` tells (OpenAI: Realtime server events)."""

PRICES = """\
currency: USD
models:
  speech: {input: 4, cached_input: "0.5", output: 16, audio_input: 32, cached_audio_input: 0.5, audio_output: 64}
"""


def prices(folder: Path, text: str) -> Prices:
    path = folder / "prices.yaml"
    path.write_text(text)
    return read_prices(path, {})


def test_each_token_of_a_response_is_of_one_kind():
    usage = Usage()
    usage.add_response("speech", RESPONSE)
    assert usage.facts() == {
        "speech": {
            "input": 350,
            "cached_input": 250,
            "output": 50,
            "audio_input": 300,
            "cached_audio_input": 100,
            "audio_output": 150,
        }
    }
    assert sum(usage.facts()["speech"].values()) == usage.total == 1200


@pytest.mark.parametrize(
    "told",
    [None, {}, {"total_tokens": None, "input_token_details": None}, {"input_token_details": {"cached_tokens": "7"}}],
)
def test_a_response_that_tells_nothing_adds_nothing(told: dict[str, object] | None):
    usage = Usage()
    usage.add_response("speech", told)
    assert (usage.total, usage.facts()) == (0, {"speech": {}})


def test_tokens_without_details_are_text():
    usage = Usage()
    usage.add_response("speech", {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10})
    assert usage.facts() == {"speech": {"input": 20, "output": 10}}


def test_what_comes_from_the_cache_is_counted_once_however_a_service_tells_it():
    within, beside = Usage(), Usage()
    told = {"completion_tokens": 10, "total_tokens": 110, "cache_read_input_tokens": 60}
    within.add_metrics("chat", LLMTokenUsage(prompt_tokens=100, **told))
    beside.add_metrics("chat", LLMTokenUsage(prompt_tokens=30, cache_creation_input_tokens=10, **told))
    assert within.facts() == {"chat": {"input": 40, "cached_input": 60, "output": 10}}
    assert beside.facts() == {"chat": {"input": 30, "cached_input": 60, "cache_write": 10, "output": 10}}
    assert within.total == beside.total == 110


def test_what_several_legs_used_is_added_up_by_model():
    first, second = Usage(), Usage()
    first.add_response("speech", RESPONSE)
    second.add_response("speech", RESPONSE)
    second.add_metrics("chat", LLMTokenUsage(prompt_tokens=5, completion_tokens=1, total_tokens=6))
    first.add(second)
    assert first.total == 2406
    assert first.facts()["speech"]["audio_output"] == 300
    assert first.facts()["chat"] == {"input": 5, "output": 1}


def test_a_call_costs_what_the_operator_s_prices_say(tmp_path: Path):
    usage = Usage()
    usage.add_response("speech", RESPONSE)
    cost, unpriced = prices(tmp_path, PRICES).cost(usage.facts())
    by_hand = 350 * 4 + 250 * Decimal("0.5") + 50 * 16 + 300 * 32 + 100 * Decimal("0.5") + 150 * 64
    assert (cost, unpriced) == (by_hand / 1_000_000, [])


def test_what_has_no_price_is_named_and_not_guessed(tmp_path: Path):
    found = prices(tmp_path, PRICES)
    cost, unpriced = found.cost({"speech": {"cache_write": 5, "input": 1_000_000}, "other": {"output": 1}})
    assert (cost, unpriced) == (4, ["cache write of speech", "output of other"])


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (PRICES.replace("USD", "dollars"), "currency"),
        (PRICES.replace("input: 4", "input: -4"), "models"),
        (PRICES.replace("input: 4", "inputs: 4"), "inputs"),
        ("currency: USD\n", "models"),
    ],
)
def test_a_mistake_in_the_prices_is_told(tmp_path: Path, wrong: str, what: str):
    with pytest.raises(ConfigurationError, match=what):
        prices(tmp_path, wrong)


def test_a_call_s_page_shows_tokens_and_where_there_are_prices_their_cost(tmp_path: Path):
    usage = Usage()
    usage.add_response("speech", RESPONSE)
    streams = [
        Entry(1.0, "StreamMeasured", {"tokens": 7, "longest_silence_ms": 0}, "bot", False),  # of an older version
        *(
            Entry(at, "StreamMeasured", {"tokens": 1200, "usage": usage.facts(), "longest_silence_ms": 0}, "bot", False)
            for at in (2.0, 3.0)
        ),
    ]
    record = Record(Stored(Call(SID, CALLER, US, 0.0), 1), streams, [])
    without = Renderer(lambda called: POLICY).piece("numbers", record=record, role=Role.VIEWER)
    assert "2,407" in without
    assert "<dt>audio output</dt><dd>300</dd>" in without
    assert "Cost" not in without
    priced = Renderer(lambda called: POLICY, prices(tmp_path, PRICES)).piece("numbers", record=record, role=Role.VIEWER)
    assert "0.0432 USD" in priced
