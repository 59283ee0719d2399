"""Who decides whether a reply of the bot meets a criterion: a language model, or, offline, words.

A criterion may end in brackets: `says that it cannot dial a number of the caller's [cannot | can't | unable]`. A model
reads the sentence; offline, a reply that holds one of the words meets it. That is coarse, and good enough to find that
a rule is missing from a prompt; it is no judgement of how a reply sounds.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipecat.classifiers.base_classifier import (
    BaseClassifier,
    ChoiceQuestion,
    ChoiceResult,
    ClassifierImage,
    ClassifierQuestion,
    ClassifierResult,
    ScoreQuestion,
    YesNoResult,
)
from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.services.openai.llm import OpenAILLMService

VARIABLE = "EVAL_JUDGE"
"""`words` for no model at all, or the name of an OpenAI model."""

MODEL = "gpt-4.1-mini"

_WORDS = re.compile(r"\[([^\]]+)\]")


def judge(config: dict[str, Any]) -> BaseClassifier | OpenAILLMService:
    """What the scenarios name as their judge.

    Args:
        config: The scenario's `judge.eval` block.
    """
    model = os.environ.get(VARIABLE) or MODEL
    if model == "words":
        return Words()
    return OpenAILLMService(settings=OpenAILLMService.Settings(model=model))


class Words(BaseClassifier):
    """Goes by the words in a criterion's brackets."""

    async def _ask(
        self,
        state: str | dict[str, Any] | list[Any],
        questions: Mapping[str, ClassifierQuestion],
        images: Sequence[ClassifierImage] = (),
    ) -> tuple[dict[str, ClassifierResult], LLMTokenUsage | None]:
        reply = str(state.get("latest_bot_reply", state) if isinstance(state, dict) else state).lower()
        return {name: _answer(question, reply) for name, question in questions.items()}, None


def _answer(question: ClassifierQuestion, reply: str) -> ClassifierResult:
    if isinstance(question, ScoreQuestion):
        raise TypeError("a scale needs a model to judge by")
    words = _WORDS.findall(str(question.instructions))
    if not words:
        raise ValueError(f"offline, a criterion needs words in brackets: {question.instructions}")
    met = any(word.strip().lower() in reply for word in words[-1].split("|"))
    if isinstance(question, ChoiceQuestion):  # what does not meet it yet may be the beginning of what does
        choice = "yes" if met else "continue" if "continue" in question.options else "no"
        return ChoiceResult(choice=choice, probabilities={choice: 1.0}, confidence=1.0)
    return YesNoResult(probability=float(met))
