"""The settings of legs on Pipecat's services: a cascade of three, or one that listens and speaks by itself."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from pipelines.changes import CascadeChange, Change
from pipelines.config import ChangeName, PipelineConfig
from pipelines.section import Section, Text
from pipelines.services import ServiceConfig
from pipelines.turns import Silence, SmartTurn, Turns


class CascadeConfig(PipelineConfig):
    """A service that transcribes, a model that writes, a service that speaks."""

    leg: Literal["cascade"]
    """What kind of model leg this is."""

    stt: ServiceConfig
    """What makes words of the caller's sound."""

    llm: ServiceConfig
    """The model that answers in words."""

    tts: ServiceConfig
    """What makes sound of its words."""

    turn_detection: Turns = Silence()
    """How it is noticed that the caller has finished."""

    changes: Mapping[ChangeName, CascadeChange] = Field(default={})
    """What the model may change in mid-call, by name: its language, its voice, settings of the services."""

    def _beside(self, change: CascadeChange) -> dict[str, Any]:
        voice = {"voice": change.voice} if change.voice else {}
        return {
            "stt": _with(self.stt, change.stt),
            "llm": _with(self.llm, change.llm),
            "tts": _with(self.tts, {**voice, **change.tts}),
        }


def _with(service: ServiceConfig, settings: dict[str, Any]) -> ServiceConfig:
    return service.model_copy(update={"settings": {**service.settings, **settings}})


class ByModel(Section):
    """The model says where turns begin and end. Not every model does."""

    type: Literal["model"]


class SpeechConfig(PipelineConfig):
    """A speech-to-speech service of Pipecat's, with its sound as frames."""

    leg: Literal["speech_to_speech"]
    """What kind of model leg this is."""

    service: Text
    """A name in Pipecat's catalogue, such as `gemini_live`, or the path of a class."""

    settings: dict[str, Any] = Field(default={})
    """What the service's constructor and its `Settings` take."""

    changes: Mapping[ChangeName, Change] = Field(default={})
    """What the model may change in mid-call, by name: its language, and what it is told."""

    turn_detection: Annotated[Silence | SmartTurn | ByModel, Field(discriminator="type")] = Silence()
    """How it is noticed on our side that the caller speaks, which stops the bot."""
