"""The sample shop's business tools: Pipecat direct functions, on data in `sample_orders.json`.

A tool of your own looks the same: an async function whose first parameter is `params`. Its name,
its types and its docstring are all that the model knows of it; what it finds goes to
`params.result_callback`. Name it in the pipeline's YAML.
"""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipecat.services.llm_service import FunctionCallParams

_SHOP: dict[str, Any] = json.loads(Path(__file__).with_name("sample_orders.json").read_text(encoding="utf-8"))


async def order_status(params: FunctionCallParams, order_number: str) -> None:
    """Look up an order: its state, what is in it, and when it arrives.

    Args:
        params: The model's call.
        order_number: The number of the order, as the caller says it, e.g. 1042.
    """
    digits = re.sub(r"\D", "", order_number)
    order = _SHOP["orders"].get(digits)
    if order is None:
        advice = "there is no such order; read the number back and ask the caller to check it"
        await params.result_callback({"order_number": digits, "error": advice})
        return
    await params.result_callback({"order_number": digits, **order})


async def opening_hours(params: FunctionCallParams, day: str) -> None:
    """Tell when the shop is open.

    Args:
        params: The model's call.
        day: The English name of a day of the week, or "today" or "tomorrow".
    """
    now = datetime.now(ZoneInfo(_SHOP["time_zone"]))
    name = weekday(day, now)
    if name not in _SHOP["hours"]:
        await params.result_callback({"error": f"{day!r} is no day of the week; ask which day"})
        return
    hours = _SHOP["hours"][name]
    await params.result_callback({"day": name, **(hours or {"closed": "all day"})})


def weekday(day: str, now: datetime) -> str:
    """The day of the week in small letters; anything but "today" and "tomorrow" stays what it is.

    Args:
        day: What the model asked for.
        now: The shop's own time.
    """
    day = day.strip().lower()
    ahead = {"today": 0, "tomorrow": 1}.get(day)
    if ahead is None:
        return day
    names = list(_SHOP["hours"])
    return names[(now + timedelta(days=ahead)).weekday()]
