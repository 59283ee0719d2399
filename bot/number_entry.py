"""The telephones in `handoff.yaml`: read and checked."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from bot.numbers import dialable, sip_address
from bot.routing import Endpoint
from pipelines.problems import refusal
from pipelines.section import Section


def checked_number(written: str, info: ValidationInfo) -> str:
    """A telephone number that may be rung, as E.164."""
    return dialable(written, (info.context or {}).get("allow", ()))


def as_text(value: Any) -> Any:
    """A number that was written without `+` and without quotes reaches us as an integer."""
    if isinstance(value, int) and not isinstance(value, bool):
        remedy = f'write it with + and country code, in quotes, e.g. "+{value}"'
        raise refusal(f"is {value} without a +, which could be in any country", remedy)
    return value


def checked_key(key: str) -> str:
    """A name that the model can say exactly."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
        words = re.findall(r"[a-z0-9]+", key.lower())
        example = "_".join(words).lstrip("0123456789_") or "sales"
        remedy = f"use small letters, digits and _, e.g. `{example}`"
        raise refusal(f"is called `{key}`, which the model could not say exactly", remedy)
    return key


PhoneNumber = Annotated[str, BeforeValidator(as_text), AfterValidator(checked_number)]
TargetKey = Annotated[str, AfterValidator(checked_key)]
Label = Annotated[str, AfterValidator(checked_key)]
"""A language or a skill."""

RingSeconds = Annotated[int, Field(ge=5, le=600)]


def _sip(written: str) -> str:
    return sip_address(written)


def _client(identity: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]{1,120}", identity):
        remedy = "write the identity with which it registers: letters, digits and . _ @ + -, e.g. `robin`"
        raise refusal(f"is `{identity}`, which is no identity of a client", remedy)
    return identity


def _keys(written: Any) -> Any:
    keys = str(written)
    if not re.fullmatch(r"[0-9*#wW]{1,32}", keys):
        raise refusal(f"is `{keys}`, which cannot be pressed", "use digits, * and #; `w` waits half a second: `ww42`")
    return keys


class NumberEntry(Section):
    """One telephone of a target: the number alone, or what is to be rung and how."""

    number: PhoneNumber | None = None
    """The telephone number with + and country code, in quotes, e.g. "+12025550143"."""

    sip: Annotated[str, AfterValidator(_sip)] | None = None
    """A SIP address instead, e.g. `sip:robin@pbx.example.com`."""

    client: Annotated[str, AfterValidator(_client)] | None = None
    """The identity of a client of Twilio's Voice SDK instead, e.g. `robin`."""

    ring_seconds: RingSeconds | None = None
    digits: Annotated[str, BeforeValidator(_keys)] | None = None
    """Keys that are pressed when it is answered, e.g. an extension: "ww42"."""

    languages: tuple[Label, ...] = ()
    """What the person speaks, e.g. `[en, es]`."""

    skills: tuple[Label, ...] = ()
    """What the person knows about, e.g. `[refunds]`."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> "NumberEntry":
        given = [kind for kind in ("number", "sip", "client") if getattr(self, kind) is not None]
        if len(given) != 1:
            what = f"says {' and '.join(given)}" if given else "is empty"
            raise refusal(what, "write exactly one of `number`, `sip` and `client`")
        if self.digits and self.number is None:
            raise refusal("has `digits`, which only a number can be sent", "leave `digits` out")
        return self

    def endpoint(self, ring_seconds: int) -> Endpoint:
        """It as the law knows it."""
        return Endpoint(
            self.number or self.sip or f"client:{self.client}",
            self.ring_seconds or ring_seconds,
            self.digits or "",
            self.languages,
            self.skills,
        )


def _number_entry(value: Any) -> Any:
    return value if isinstance(value, dict | NumberEntry) else {"number": value}


NumberEntries = tuple[Annotated[NumberEntry, BeforeValidator(_number_entry)], ...]
