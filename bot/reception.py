"""Who answers one of our numbers: its pipelines, and the rules for whom a caller reaches from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema

from bot.consulting_tools import CONSULTING_TOOLS
from bot.routing import Policy, Target
from bot.settings import Answering, Configuration
from bot.tools import call_tools, change_tool
from pipelines.build import Credentials, build_leg
from pipelines.config import PipelineConfig
from pipelines.legs import Leg
from pipelines.toolbox import business_tools


@dataclass(frozen=True)
class Reception:
    """What every call to one number shares."""

    policy: Policy
    pipelines: Sequence[PipelineConfig]
    """The one that calls begin with, and those that take over from it, in order."""

    credentials: Credentials

    @cached_property
    def tools(self) -> Sequence[ToolsSchema]:
        """What the model may call, by pipeline."""
        return [
            ToolsSchema([*call_tools(self.policy), *change_tool(config.named_changes), *business_tools(config)])
            for config in self.pipelines
        ]

    def build(self, model: int, change: str = "") -> Leg:
        """A new leg.

        Args:
            model: Which pipeline's; see `bot.call.Call.model`.
            change: What has been changed; see `bot.call.Call.change`.
        """
        n = self.known(model)
        return build_leg(self.pipelines[n].changed(change), self.credentials, self.tools[n])

    def build_for_person(self, model: int, change: str = "") -> Leg:
        """A new leg to talk with a person about their caller; see `build`."""
        return build_leg(self.pipelines[self.known(model)].changed(change), self.credentials, CONSULTING_TOOLS)

    def known(self, model: int) -> int:
        """The pipeline's place in `pipelines`: the last for one that only another version had."""
        return min(model, len(self.pipelines) - 1)


class Receptions:
    """Every number's reception."""

    def __init__(self, configuration: Configuration) -> None:
        """Prepare them."""
        credentials = Credentials(configuration.environ, configuration.settings.openai_realtime_url)

        def reception(answering: Answering) -> Reception:
            return Reception(answering.policy, answering.pipelines, credentials)

        self.default = reception(configuration.answering)
        self._by_number: Mapping[str, Reception] = {
            number: reception(answering) for number, answering in configuration.numbers.items()
        }

    @property
    def policies(self) -> Mapping[str, Policy]:
        """The rules of every number that has a reception of its own."""
        return {number: reception.policy for number, reception in self._by_number.items()}

    @property
    def targets(self) -> Mapping[str, Target]:
        """Every target of every number."""
        return {
            key: target
            for reception in (self.default, *self._by_number.values())
            for key, target in reception.policy.targets.items()
        }

    @property
    def transcribe(self) -> bool:
        """Whether messages to any of our numbers are to be written down."""
        return any(each.policy.voicemail.transcriber is not None for each in (self.default, *self._by_number.values()))

    @property
    def call_out(self) -> bool:
        """Whether the bot may call somebody from any of our numbers."""
        return any(each.policy.outbound is not None for each in (self.default, *self._by_number.values()))

    def of(self, called: str) -> Reception:
        """The reception of the number that was called."""
        return self._by_number.get(called, self.default)
