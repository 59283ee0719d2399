"""From the settings of a pipeline to the model leg that they describe."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema

from pipelines.cascade import CascadeLeg
from pipelines.config import PipelineConfig
from pipelines.frame_config import ByModel, CascadeConfig, SpeechConfig
from pipelines.legs import Leg
from pipelines.realtime import RealtimeLeg
from pipelines.realtime_config import RealtimeConfig
from pipelines.services import ServiceConfig, build
from pipelines.speech import SpeechLeg
from pipelines.turns import turns_by_listening, turns_of_the_model

NO_KEY = "sk-sandbox"
"""The key for a model on this machine, where none is set."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The vendors' keys and addresses."""

    environ: Mapping[str, str] = field(repr=False)
    """The variables, the keys of services among them."""

    openai_realtime_url: str
    """Without a query, e.g. `wss://api.openai.com/v1/realtime`."""


def build_leg(config: PipelineConfig, credentials: Credentials, tools: ToolsSchema) -> Leg:
    """The model leg that a pipeline's settings describe.

    Args:
        config: The settings.
        credentials: The vendors' keys and addresses.
        tools: What the model may call.
    """
    environ = credentials.environ
    match config:
        case CascadeConfig():
            turns = config.turn_detection
            return CascadeLeg(
                build("stt", config.stt, environ, **_language(config)),
                build("llm", config.llm, environ, system_instruction=config.system_instruction),
                build("tts", config.tts, environ, **_language(config)),
                turns=lambda: turns_by_listening(turns),
            )
        case SpeechConfig():
            service = ServiceConfig(service=config.service, settings=config.settings)
            detection = config.turn_detection
            return SpeechLeg(
                build("realtime", service, environ, system_instruction=config.system_instruction),
                turns=turns_of_the_model if isinstance(detection, ByModel) else lambda: turns_by_listening(detection),
            )
        case RealtimeConfig():
            url = config.url or credentials.openai_realtime_url
            key = environ.get("OPENAI_API_KEY", NO_KEY)
            return RealtimeLeg(config, api_key=key, url=url, tools=tools)
    raise TypeError(f"no leg is built of {type(config).__name__}")


def _language(config: PipelineConfig) -> dict[str, str]:
    return {"language": config.language} if config.language else {}
