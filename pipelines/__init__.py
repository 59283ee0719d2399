"""Model legs: `<name>.yaml` and the builders that they name. Knows Pipecat, never `bot`."""

from dataclasses import dataclass, field

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema

from pipelines.config import PipelineConfig
from pipelines.legs import Earpiece, Leg
from pipelines.realtime import RealtimeLeg

__all__ = ["Credentials", "Earpiece", "Leg", "PipelineConfig", "build_leg"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The vendors' keys and addresses."""

    openai_api_key: str = field(repr=False)
    openai_realtime_url: str
    """Without a query, e.g. `wss://api.openai.com/v1/realtime`."""


def build_leg(config: PipelineConfig, credentials: Credentials, tools: ToolsSchema) -> Leg:
    """The model leg that a pipeline's settings describe.

    Args:
        config: The settings.
        credentials: The vendors' keys and addresses.
        tools: What the model may call.
    """
    return RealtimeLeg(
        config,
        api_key=credentials.openai_api_key,
        url=credentials.openai_realtime_url,
        tools=tools,
    )
