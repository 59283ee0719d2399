"""The settings of legs on Pipecat's services: a cascade of three, or one that listens and speaks by itself."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pipelines.config import PipelineConfig
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

    turn_detection: Annotated[Silence | SmartTurn | ByModel, Field(discriminator="type")] = Silence()
    """How it is noticed on our side that the caller speaks, which stops the bot."""
