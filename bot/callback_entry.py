"""`callback:` in `handoff.yaml` → `CallbackRules`: read and checked."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from bot.callback_rules import CallbackRules
from bot.hours_entry import HoursEntry
from bot.outbound_entry import allowed
from bot.triggers_entry import TargetReference
from pipelines.section import Section


class CallbackEntry(Section):
    """How callers are called back who ask for it. Without this part, the bot does not offer it."""

    hours: HoursEntry
    """When they may be called, and on which clock the bot speaks of it."""

    target: TargetReference | None = None
    """The target whose people call back; without it, the one that the bot names."""

    tries: int = Field(default=3, ge=1, le=20)
    """How often it is tried. One try asks each person of the target."""

    retry_seconds: float = Field(default=900, ge=1, le=604_800)
    """How long after one try the next one begins. Seconds."""

    ring_seconds: int = Field(default=30, ge=5, le=600)
    """How long the caller's telephone rings. Seconds."""

    expire_hours: float = Field(default=168, gt=0, le=2160)
    """How long after it was due a callback is given up that could not be made. Hours."""

    allow: tuple[Annotated[str, BeforeValidator(allowed)], ...] = ()
    """Numbers that may be called although nobody calls from them or has typed them, or how they begin: `["+44*"]`."""

    def rules(self) -> CallbackRules:
        """It as the law knows it."""
        return CallbackRules(
            self.hours.hours(),
            self.tries,
            self.retry_seconds,
            self.ring_seconds,
            self.expire_hours * 3600,
            self.target,
            self.allow,
        )
