"""`outbound:` in `handoff.yaml` → `routing.Outbound`: read and checked."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from bot.hours_entry import HoursEntry
from bot.numbers import dialable, digits
from bot.routing import Outbound
from pipelines.problems import refusal
from pipelines.section import Section


def _text(written: Any) -> str:
    if not isinstance(written, str):
        raise refusal(f"holds {written} without quotes", 'write it with + and country code, in quotes: "+12025550143"')
    return written


def _number(written: Any, info: ValidationInfo) -> str:
    return dialable(_text(written), (info.context or {}).get("allow", ()))


def allowed(written: Any, info: ValidationInfo) -> str:
    """A number that may be called, or how some begin, as an operator writes it."""
    number = digits(_text(written))
    if not number.endswith("*"):
        return _number(written, info)
    if not re.fullmatch(r"\+[1-9][0-9]{0,13}\*", number):
        remedy = 'write how they begin, with + and country code, and a * behind it: "+44*", "+1202555*"'
        raise refusal(f"holds `{written}`, which does not say how numbers begin", remedy)
    return number


def _some(numbers: tuple[str, ...]) -> tuple[str, ...]:
    if not numbers:
        raise refusal("is empty", 'name the numbers that may be called, or how they begin: ["+12025550143", "+44*"]')
    return numbers


class OutboundEntry(Section):
    """Whom the bot may call. Without this part, nobody."""

    number: Annotated[str, BeforeValidator(_number)]
    """Our number that they see: one that the Twilio account owns."""

    allow: Annotated[tuple[Annotated[str, BeforeValidator(allowed)], ...], AfterValidator(_some)]
    """The numbers that may be called, or how they begin: `["+12025550143", "+44*"]`."""

    hours: HoursEntry | None = None
    """When calls may be made; without it, always."""

    ring_seconds: int = Field(default=30, ge=5, le=600)
    """How long it rings. Seconds."""

    tries: int = Field(default=3, ge=1, le=20)
    """How often a number is called that is busy or does not answer."""

    retry_minutes: float = Field(default=15, gt=0, le=10_080)
    """How long after a call in vain the next one is made. Minutes."""

    machine_detection: bool | None = None
    """Whether Twilio listens for a mailbox when somebody answers. Unless it is said: where there is a `message`."""

    message: Annotated[str, Field(max_length=1000)] = ""
    """What a mailbox is told; without it, a mailbox is hung up on."""

    @model_validator(mode="after")
    def _fits_together(self) -> "OutboundEntry":
        if self.message and self.machine_detection is False:
            remedy = "leave `machine_detection: false` out, or the message"
            raise refusal("has a message for mailboxes and does not look for them", remedy)
        return self

    def outbound(self) -> Outbound:
        """It as the policy knows it."""
        return Outbound(
            self.number,
            self.allow,
            self.hours.hours() if self.hours else None,
            self.ring_seconds,
            self.tries,
            self.retry_minutes * 60,
            bool(self.message) if self.machine_detection is None else self.machine_detection,
            self.message,
        )
