"""From a dotted path to a business tool: a Pipecat direct function, imported and checked."""

import importlib
import inspect
from types import ModuleType
from typing import Any

from pipecat.adapters.llm.schemas.direct_function import DirectFunctionWrapper

from pipelines.problems import guess, refusal

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def find_tool(path: str) -> DirectFunctionWrapper:
    """Import a tool and read its schema the way Pipecat does.

    Args:
        path: `package.module.function`, importable from where the server runs.

    Returns:
        Pipecat's view of the function: its name, description, properties.

    Raises:
        PydanticCustomError: A refusal in plain words: it cannot be imported, or it is not an async
            function whose first parameter is `params` and whose docstring describes every argument.
    """
    function = _imported(path)
    name = path.rpartition(".")[2]
    if not inspect.iscoroutinefunction(function):
        raise refusal(f"names `{path}`, which is no async function", f"write `async def {name}(params, …)`")
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].name != "params":
        remedy = f"write `async def {name}(params, …)`; Pipecat hands the call over in it"
        raise refusal(f"names `{path}`, whose first parameter is not `params`", remedy)
    for parameter in parameters[1:]:
        if parameter.kind not in _BY_NAME:
            remedy = "name every argument, so that the model knows what to give"
            raise refusal(f"names `{path}`, whose `{parameter}` the model cannot fill in", remedy)
    return _described(path, function)


def _imported(path: str) -> Any:
    module_name, _, name = path.rpartition(".")
    if not module_name or not all(part.isidentifier() for part in path.split(".")):
        remedy = "write `module.function`, e.g. `pipelines.tools.order_status`"
        raise refusal(f"is `{path}`, which is no dotted path", remedy)
    module = _module(path, module_name)
    found = getattr(module, name, None)
    if found is None:
        tools = [key for key, value in vars(module).items() if inspect.iscoroutinefunction(value)]
        remedy = guess(name, tools) or "check the spelling"
        raise refusal(f"names `{path}`, but `{module_name}` has no `{name}`", remedy)
    return found


def _module(path: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):
            remedy = "check the spelling, and that the server is started where it can be imported"
            raise refusal(f"names `{path}`, but there is no module `{missing}`", remedy) from None
        remedy = f"run `python -c 'import {module_name}'` to see the whole story"
        raise refusal(f"names `{path}`, which cannot be imported: {type(error).__name__}: {error}", remedy) from None


def _described(path: str, function: Any) -> DirectFunctionWrapper:
    try:
        tool = DirectFunctionWrapper(function)
    except Exception as error:  # annotations that cannot be evaluated raise whatever they raise
        remedy = "import what its annotations name outside of `if TYPE_CHECKING:`"
        raise refusal(f"names `{path}`, which cannot be read: {type(error).__name__}: {error}", remedy) from None
    if not tool.description:
        remedy = "say in its docstring what it does and when to call it; the model reads that"
        raise refusal(f"names `{path}`, which does not say what it does", remedy)
    for argument, schema in tool.properties.items():
        if not schema.get("description"):
            remedy = f"describe it for the model under `Args:`, as `{argument}: …`"
            raise refusal(f"names `{path}`, which does not explain its argument `{argument}`", remedy)
        if schema.keys() == {"description"}:
            remedy = f"annotate it, e.g. `{argument}: str`"
            raise refusal(f"names `{path}`, which does not say of which type `{argument}` is", remedy)
    return tool
