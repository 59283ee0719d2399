"""Business tools: what the model is told, whatever the tool does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
from pipecat.adapters.llm.schemas.direct_function import DirectFunctionWrapper, tool_options
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallFromLLM,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMContextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import FunctionCallParams, LLMService
from pipecat.services.settings import LLMSettings
from pipecat.tests.utils import run_test

from pipelines import tools
from pipelines.realtime_config import RealtimeConfig
from pipelines.toolbox import ADVICE, business_tools, guarded

Tool = Callable[..., Awaitable[None]]


class CallingModel(LLMService):
    """A model that calls one tool when it is given a context, and stays until that is settled."""

    def __init__(self, name: str, arguments: Any) -> None:
        super().__init__(settings=LLMSettings())
        self._call = (name, arguments)
        self._settled = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, EndFrame):
            await self._settled.wait()
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            name, arguments = self._call
            await self.run_function_calls([FunctionCallFromLLM(name, "call_1", arguments, frame.context)])
        await self.push_frame(frame, direction)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        await super().push_frame(frame, direction)
        if isinstance(frame, FunctionCallResultFrame | FunctionCallCancelFrame):
            self._settled.set()


async def told(tool: Tool, arguments: Any, *, seconds: float = 5.0) -> tuple[list[Any], list[Frame]]:
    """Run a real pipeline in which the model calls a tool.

    Returns:
        The results that the model is given, and the errors that the pipeline reports.
    """
    schema = guarded(DirectFunctionWrapper(tool), seconds)
    context = LLMContext([], ToolsSchema([schema]))
    model = CallingModel(tool.__name__, arguments)
    down, up = await run_test(model, frames_to_send=[LLMContextFrame(context)], start_timeout=30)
    results = [frame.result for frame in down if isinstance(frame, FunctionCallResultFrame)]
    return results, [frame for frame in up if isinstance(frame, ErrorFrame)]


async def asks(tool: Tool, **arguments: str) -> Any:
    """What a sample tool answers, by itself."""
    answers: list[Any] = []

    async def result_callback(result: Any, **_: Any) -> None:
        answers.append(result)

    nothing: Any = None
    await tool(
        FunctionCallParams(
            function_name=tool.__name__,
            tool_call_id="call_1",
            arguments=arguments,
            llm=nothing,
            pipeline_worker=nothing,
            context=nothing,
            result_callback=result_callback,
        ),
        **arguments,
    )
    (answer,) = answers
    return answer


# --- the samples ---------------------------------------------------------------------------------


async def test_an_order_is_found_however_its_number_is_said():
    answer = await asks(tools.order_status, order_number="NW-10 42")
    assert (answer["order_number"], answer["status"]) == ("1042", "shipped")


async def test_an_unknown_order_is_said_to_be_unknown():
    assert "no such order" in (await asks(tools.order_status, order_number="9"))["error"]


async def test_the_shop_is_open_on_saturday_and_closed_on_sunday():
    open_day = await asks(tools.opening_hours, day="Saturday")
    assert open_day == {"day": "saturday", "opens": "10:00", "closes": "16:00"}
    assert await asks(tools.opening_hours, day="sunday") == {"day": "sunday", "closed": "all day"}


async def test_the_hours_of_today_can_be_asked_for():
    assert "day" in await asks(tools.opening_hours, day="today")


async def test_a_day_that_is_none_is_asked_for_again():
    assert "ask which day" in (await asks(tools.opening_hours, day="Caturday"))["error"]


@pytest.mark.parametrize(("day", "name"), [("today", "sunday"), ("Tomorrow ", "monday"), ("FRIDAY", "friday")])
def test_a_day_is_understood_as_people_say_it(day, name):
    assert tools.weekday(day, datetime(2026, 11, 22, 12, 0)) == name


# --- the schema ----------------------------------------------------------------------------------


def test_the_model_is_given_the_schema_that_pipecat_derives_from_the_function():
    config = RealtimeConfig(instructions="x", tools=("pipelines.tools.order_status", "pipelines.tools.opening_hours"))
    expected = [
        DirectFunctionWrapper(function).to_function_schema().to_default_dict()
        for function in (tools.order_status, tools.opening_hours)
    ]
    assert [schema.to_default_dict() for schema in business_tools(config)] == expected
    assert expected[0] == {
        "name": "order_status",
        "description": "Look up an order: its state, what is in it, and when it arrives.",
        "parameters": {
            "type": "object",
            "properties": {
                "order_number": {
                    "type": "string",
                    "description": "The number of the order, as the caller says it, e.g. 1042.",
                }
            },
            "required": ["order_number"],
        },
    }


# --- whatever a tool does ------------------------------------------------------------------------


async def test_a_tool_answers_through_a_real_pipeline():
    results, errors = await told(tools.order_status, {"order_number": "1057"})
    assert [result["status"] for result in results] == ["being packed"]
    assert not errors


async def test_a_tool_that_raises_is_told_to_the_model_and_is_no_fault_of_the_pipeline():
    async def order_status(params: FunctionCallParams) -> None:
        """Break."""
        raise RuntimeError("the password is hunter2")

    results, errors = await told(order_status, {})
    assert results == [{"error": f"order_status failed; {ADVICE}"}]
    assert not errors


async def test_a_tool_that_takes_too_long_is_stopped_and_told_to_the_model():
    stopped = asyncio.Event()

    async def order_status(params: FunctionCallParams) -> None:
        """Hang."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    results, errors = await told(order_status, {}, seconds=0.05)
    assert results == [{"error": f"order_status took longer than 0.05 s; {ADVICE}"}]
    assert stopped.is_set()
    assert not errors


async def test_a_time_limit_of_the_tools_own_is_a_failure_and_not_our_limit():
    async def order_status(params: FunctionCallParams) -> None:
        """Give up early."""
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    results, _ = await told(order_status, {})
    assert results == [{"error": f"order_status failed; {ADVICE}"}]


async def test_a_tool_that_returns_without_a_word_is_told_to_the_model():
    async def order_status(params: FunctionCallParams) -> None:
        """Forget to answer."""

    results, _ = await told(order_status, {})
    assert results == [{"error": f"order_status gave no result; {ADVICE}"}]


async def test_a_tool_that_answers_and_then_breaks_has_answered_once():
    async def order_status(params: FunctionCallParams) -> None:
        """Answer, then break."""
        await params.result_callback({"status": "shipped"})
        raise RuntimeError

    results, errors = await told(order_status, {})
    assert results == [{"status": "shipped"}]
    assert not errors


@pytest.mark.parametrize("nothing", [[], {}, None, "", 0])
async def test_an_empty_answer_is_still_an_answer(nothing):
    async def open_orders(params: FunctionCallParams) -> None:
        """List nothing."""
        await params.result_callback(nothing)

    results, _ = await told(open_orders, {})
    assert results == [{"result": nothing}]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"order": "1042"}, {"order_number": "1", "params": 2}, ["1042"], "1042", None],
    ids=repr,
)
async def test_arguments_that_do_not_fit_are_told_to_the_model(arguments):
    results, errors = await told(tools.order_status, arguments)
    assert len(results) == 1
    assert "was called with wrong arguments" in results[0]["error"]
    assert not errors


async def test_a_caller_who_speaks_cancels_a_tool():
    async def order_status(params: FunctionCallParams) -> None:
        """Hang while the caller speaks."""
        await params.llm.queue_frame(InterruptionFrame())
        await asyncio.Event().wait()

    results, errors = await told(order_status, {})
    assert results == []
    assert not errors


async def test_a_tool_that_asks_to_be_left_alone_survives_a_caller_who_speaks():
    @tool_options(cancel_on_interruption=False)
    async def book(params: FunctionCallParams) -> None:
        """Take a moment."""
        await params.llm.queue_frame(InterruptionFrame())
        await asyncio.sleep(0.1)
        await params.result_callback({"booked": True})

    results, _ = await told(book, {})
    assert results == [{"booked": True}]
