"""How many tokens models have used, by kind, as they are priced."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipecat.metrics.metrics import LLMTokenUsage

KINDS = (
    "input",
    "cached_input",
    "cache_write",
    "output",
    "audio_input",
    "cached_audio_input",
    "audio_output",
)
"""What is not said to be audio is text. Each token is of one kind."""


class Usage:
    """What has been used so far."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.total = 0
        """Of all kinds and models together, as the models tell it."""

        self._by_model: dict[str, Counter[str]] = {}

    def add_response(self, model: str, told: Mapping[str, Any] | None) -> None:
        """Add what a response took (OpenAI: Realtime server events, `response.done`)."""
        told = told or {}
        told_input, told_output = _part(told, "input_token_details"), _part(told, "output_token_details")
        told_cached = _part(told_input, "cached_tokens_details")
        audio_in, cached_audio = _count(told_input, "audio_tokens"), _count(told_cached, "audio_tokens")
        cached = _count(told_input, "cached_tokens")
        audio_out = _count(told_output, "audio_tokens")
        self._add(
            model,
            _count(told, "total_tokens"),
            input=_count(told, "input_tokens") - audio_in - (cached - cached_audio),
            cached_input=cached - cached_audio,
            output=_count(told, "output_tokens") - audio_out,
            audio_input=audio_in - cached_audio,
            cached_audio_input=cached_audio,
            audio_output=audio_out,
        )

    def add_metrics(self, model: str, told: LLMTokenUsage) -> None:
        """Add what a service of Pipecat's reports. Some count what comes from the cache as input, some do not."""
        cached, written = told.cache_read_input_tokens or 0, told.cache_creation_input_tokens or 0
        cached_audio, audio_in = told.cache_read_input_audio_tokens or 0, told.input_audio_tokens or 0
        audio_out = told.output_audio_tokens or 0
        beside = told.total_tokens > told.prompt_tokens + told.completion_tokens
        self._add(
            model,
            told.total_tokens,
            input=told.prompt_tokens - (audio_in - cached_audio) - (0 if beside else cached + written),
            cached_input=cached - cached_audio,
            cache_write=written,
            output=told.completion_tokens - audio_out,
            audio_input=audio_in - cached_audio,
            cached_audio_input=cached_audio,
            audio_output=audio_out,
        )

    def add(self, other: "Usage") -> None:
        """Add what has been used elsewhere."""
        self.total += other.total
        for model, counts in other._by_model.items():
            self._by_model.setdefault(model, Counter()).update(counts)

    def facts(self) -> dict[str, dict[str, int]]:
        """By model and kind, for the record."""
        return {
            model: {kind: counts[kind] for kind in KINDS if counts[kind]} for model, counts in self._by_model.items()
        }

    def _add(self, model: str, total: int, **counts: int) -> None:
        self.total += total
        self._by_model.setdefault(model, Counter()).update({kind: max(n, 0) for kind, n in counts.items()})


def _part(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = told.get(key)
    return part if isinstance(part, Mapping) else {}


def _count(told: Mapping[str, Any], key: str) -> int:
    count = told.get(key)
    return count if isinstance(count, int) else 0
