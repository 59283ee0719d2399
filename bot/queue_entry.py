"""`queue:` of a target in `handoff.yaml` → `Queue`: read and checked."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bot.phrases import LANGUAGES
from bot.queue_rules import Leave, Queue
from bot.routing import Endpoint
from pipelines.problems import listed, refusal
from pipelines.section import Section


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}", name):
        remedy = "use up to 64 letters, digits, spaces, - and _, e.g. `support`"
        raise refusal(f"is `{name}`, which cannot be a queue's name", remedy)
    return name


def _workflow(sid: str) -> str:
    if not re.fullmatch(r"WW[0-9a-fA-F]{32}", sid):
        raise refusal(f"is `{sid}`, which is no workflow's SID", "copy it from TaskRouter: WW and 32 hex digits")
    return sid


def _music(written: str) -> str:
    parts = urlsplit(written)
    if written != "default" and (parts.scheme not in ("http", "https") or not parts.hostname):
        remedy = "write `default`, or the address of an MP3 or WAV file, e.g. `https://example.com/music.mp3`"
        raise refusal(f"is `{written}`, which is no address", remedy)
    return written


def _leave_key(written: Any) -> Any:
    key = str(written)
    if not re.fullmatch(r"[0-9*#]?", key):
        raise refusal(f"is `{key}`, which is no key of a telephone", 'keys are "0" to "9", "*" and "#"; "" for none')
    return key


def spoken(code: str) -> str:
    """A language in which we have words."""
    if code not in LANGUAGES:
        raise refusal(f"is `{code}`, in which we have no words", f"choose from {listed(LANGUAGES)}")
    return code


class QueueEntry(Section):
    """Where the callers of a target wait, until somebody takes them."""

    name: Annotated[str, AfterValidator(_name)] | None = None
    """The queue's name at Twilio, e.g. `support`. It is made when the first caller comes."""

    workflow: Annotated[str, AfterValidator(_workflow)] | None = None
    """The SID of a workflow of TaskRouter's instead, which finds the people."""

    max_wait: int = Field(default=600, ge=5, le=14_400)
    """How long a caller waits at most. Seconds."""

    announce_every: int = Field(default=30, ge=5, le=300)
    """How often they hear where they are in the queue. Seconds."""

    music: Annotated[str, AfterValidator(_music)] = "default"
    """What they hear meanwhile: `default`, or the address of an MP3 or WAV file."""

    language: Annotated[str, AfterValidator(spoken)] = "en"
    """In which language they are told."""

    leave_key: Annotated[str, BeforeValidator(_leave_key)] = "*"
    """The key with which they leave the queue; empty for none."""

    leave: Leave = Leave.VOICEMAIL
    """What they get then: `voicemail`, `callback` or `bot`."""

    task_attributes: dict[str, str] = Field(default_factory=dict[str, str])
    """What else the workflow is told of each caller, e.g. `{team: support}`."""

    @model_validator(mode="after")
    def _fits_together(self) -> "QueueEntry":
        if (self.name is None) == (self.workflow is None):
            what = "says name and workflow" if self.name else "has no name"
            raise refusal(what, "write exactly one of `name` and `workflow`")
        if self.task_attributes and self.workflow is None:
            remedy = "leave `task_attributes` out, or name a `workflow`"
            raise refusal("has `task_attributes`, which are for a workflow", remedy)
        return self

    def queue(self, people: tuple[Endpoint, ...]) -> Queue:
        """It as the law knows it."""
        return Queue(
            self.name or "",
            self.workflow or "",
            self.max_wait,
            self.announce_every,
            "" if self.music == "default" else self.music,
            self.language,
            self.leave_key,
            self.leave,
            people,
            dict(self.task_attributes),
        )
