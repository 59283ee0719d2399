"""`triggers:` in `handoff.yaml` → `routing.Triggers`: read and checked."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from bot.routing import Phrase, Triggers
from bot.triggers import plain
from pipelines.problems import guess, listed, refusal
from pipelines.section import Section


def _reference(key: str, info: ValidationInfo) -> str:
    targets = (info.context or {}).get("targets", ())
    if targets and key not in targets:  # without targets, that is what has to be put right
        remedy = f"{guess(key, targets)} there is: {listed(targets)}".strip()
        raise refusal(f"is `{key}`, but there is no such target", remedy)
    return key


TargetReference = Annotated[str, AfterValidator(_reference)]


def _key(written: Any) -> Any:
    key = str(written)
    if not re.fullmatch(r"[0-9*#]", key):
        raise refusal(f"holds `{key}`, which is no key of a telephone", 'keys are "0" to "9", "*" and "#"')
    return key


def _words(written: Any) -> Any:
    words = plain(str(written))
    if not words:
        raise refusal(f"holds `{written}`, which nobody can say", "write words, as a caller says them")
    return words


Key = Annotated[str, BeforeValidator(_key)]
Words = Annotated[str, BeforeValidator(_words)]


class PhrasesEntry(Section):
    """Words of the caller's, and where they lead."""

    words: Annotated[tuple[Words, ...], Field(min_length=1)]
    """What a caller says, in every language that they speak, e.g. `[a person, un agente]`. Capitals, accents and
    punctuation do not count."""

    target: TargetReference | None = None
    """Where to; without it, the default target."""


class CountEntry(Section):
    """After how many times."""

    times: int = Field(ge=1, le=20)
    target: TargetReference | None = None
    """Where to; without it, the default target."""


class SilenceEntry(Section):
    """After how long."""

    seconds: float = Field(ge=5, le=600)
    target: TargetReference | None = None
    """Where to; without it, the default target."""


class AngerEntry(Section):
    """By strong words, or shouting, in what the caller says."""

    target: TargetReference | None = None
    """Where to; without it, the default target."""


class TriggersEntry(Section):
    """What leads to a person besides the model."""

    keys: dict[Key, TargetReference | None] = Field(default={"0": None})
    """Target by key. Unless it is said, 0 leads to the default target; `{}` for none."""

    phrases: tuple[PhrasesEntry, ...] = ()
    anger: AngerEntry | None = None
    unclear_turns: CountEntry | None = None
    """So many turns of the caller's in a row of which nothing was understood."""

    tool_errors: CountEntry | None = None
    """So many tools in a row that failed."""

    silence: SilenceEntry | None = None
    """Neither the caller nor the bot has said anything for so long."""

    def triggers(self, default: str) -> Triggers:
        """Them as the law knows them.

        Args:
            default: The target of those that name none.
        """
        phrases = [Phrase(words, entry.target or default) for entry in self.phrases for words in entry.words]
        unclear, tools, silence = self.unclear_turns, self.tool_errors, self.silence
        return Triggers(
            keys={key: target or default for key, target in self.keys.items()},
            phrases=tuple(phrases),
            anger=(self.anger.target or default) if self.anger else None,
            unclear_turns=unclear.times if unclear else 0,
            unclear_target=(unclear.target or default) if unclear else None,
            tool_errors=tools.times if tools else 0,
            tool_error_target=(tools.target or default) if tools else None,
            silence_seconds=silence.seconds if silence else 0.0,
            silence_target=(silence.target or default) if silence else None,
        )
