"""One log, on standard error, with the CallSid on every line that belongs to a call."""

import json
import logging
import sys
import traceback
from datetime import UTC
from typing import TYPE_CHECKING, Literal

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

_FORMAT = (
    "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <7}</level> "
    "<cyan>{extra[call_sid]}</cyan> {message} <dim>({name}:{line})</dim>"
)
_CHATTY = ("websockets", "picows", "aiosqlite", "twilio", "asyncio", "httpx", "httpx2", "uvicorn.access")
"""Libraries that log every step; they speak at WARNING and above."""


LogFormat = Literal["text", "json"]


def _write_json(record: "Record") -> None:
    told = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "message": record["message"],
        "logger": record["name"],
        "line": record["line"],
        **{key: value for key, value in record["extra"].items() if value != "-"},
    }
    if (failure := record["exception"]) is not None:
        told["exception"] = "".join(traceback.format_exception(failure.type, failure.value, failure.traceback))
    sys.stderr.write(json.dumps(told, ensure_ascii=False, default=str) + "\n")


class _ToLoguru(logging.Handler):
    """Sends what libraries log with the standard library the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = logger.level(record.levelname).name
        except ValueError:
            level = str(record.levelno)
        theirs = logger.patch(lambda ours: ours.update(name=record.name, line=record.lineno))
        theirs.opt(exception=record.exc_info).log(level, "{}", record.getMessage())


def set_up_logs(level: str, form: LogFormat = "text") -> None:
    """Send everything of this level and above to standard error.

    Args:
        level: TRACE, DEBUG, INFO, … What is said in a call appears below INFO only.
        form: `text` for people, `json` for programs: one object a line.
    """
    logger.remove()
    logger.configure(extra={"call_sid": "-"})
    # No values of variables in tracebacks: they hold what was said.
    if form == "json":
        logger.add(lambda message: _write_json(message.record), level=level, format="{message}", diagnose=False)
    else:
        logger.add(sys.stderr, level=level, format=_FORMAT, diagnose=False)
    # Pipecat logs the whole conversation at DEBUG; its frames' comings and goings are of use at TRACE alone.
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.INFO, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
