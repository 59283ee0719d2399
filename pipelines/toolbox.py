"""A pipeline's business tools, guarded: whatever a tool does, the model gets a result."""

import asyncio
import inspect
from dataclasses import replace
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.direct_function import DirectFunctionWrapper
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams

from pipelines.config import PipelineConfig
from pipelines.tool_paths import find_tool

ADVICE = "apologise and offer to put the caller through"
"""What the model is told to do when a tool let it down."""


def business_tools(config: PipelineConfig) -> list[FunctionSchema]:
    """The pipeline's tools, ready for the model's context, each with its guarded handler."""
    return [guarded(find_tool(path), config.tool_seconds) for path in config.tools]


def guarded(tool: DirectFunctionWrapper, seconds: float) -> FunctionSchema:
    """A tool that always answers.

    The model is told what happened when the function raises, takes too long, returns without a
    result, or is called with arguments that it does not have. A caller who speaks cancels it, as
    with any tool of Pipecat's.

    Args:
        tool: The function, as Pipecat reads it.
        seconds: The longest time that one call may take.

    Returns:
        The function's schema, exactly as Pipecat derives it. Its handler keeps the options of
        `@tool_options`.
    """
    function, name = tool.function, tool.name
    signature = inspect.signature(function)

    async def handler(params: FunctionCallParams) -> None:
        answered = False

        async def answer(result: Any, *, properties: FunctionCallResultProperties | None = None) -> None:
            nonlocal answered
            answered = answered or properties is None or properties.is_final
            # Pipecat takes an empty result for "nothing to say": the caller would wait in silence.
            told = result or {"result": result}
            await params.result_callback(told, properties=properties)

        async def fail(what: str) -> None:
            logger.warning("tool {}: {}", name, what)
            if not answered:
                await params.result_callback({"error": f"{name} {what}; {ADVICE}"})

        arguments: Any = params.arguments  # the model wrote them: any JSON value
        try:
            call = signature.bind(replace(params, result_callback=answer), **arguments)
        except TypeError as error:
            await fail(f"was called with wrong arguments ({error})")
            return
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await function(*call.args, **call.kwargs)
        except Exception as error:
            if limit.expired():
                await fail(f"took longer than {seconds:g} s")
            else:
                logger.opt(exception=error).error("tool {} raised", name)
                await fail("failed")
        else:
            if not answered:
                await fail("gave no result")

    vars(handler).update(vars(function))  # where `@tool_options` leaves what it was told
    return FunctionSchema(
        name=name,
        description=tool.description,
        properties=tool.properties,
        required=tool.required,
        handler=handler,
    )
