"""One log, on standard error, with the CallSid on every line that belongs to a call."""

import logging
import sys

from loguru import logger

_FORMAT = (
    "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <7}</level> "
    "<cyan>{extra[call_sid]}</cyan> {message} <dim>({name}:{line})</dim>"
)
_CHATTY = ("websockets", "picows", "aiosqlite", "twilio", "asyncio", "httpx", "httpx2", "uvicorn.access")
"""Libraries that log every step; they speak at WARNING and above."""


class _ToLoguru(logging.Handler):
    """Sends what libraries log with the standard library the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = logger.level(record.levelname).name
        except ValueError:
            level = str(record.levelno)
        theirs = logger.patch(lambda ours: ours.update(name=record.name, line=record.lineno))
        theirs.opt(exception=record.exc_info).log(level, "{}", record.getMessage())


def set_up_logs(level: str) -> None:
    """Send everything of this level and above to standard error.

    Args:
        level: TRACE, DEBUG, INFO, … What is said in a call appears below INFO only.
    """
    logger.remove()
    logger.configure(extra={"call_sid": "-"})
    logger.add(sys.stderr, level=level, format=_FORMAT, diagnose=False)  # no values of variables in tracebacks
    # Pipecat logs the whole conversation at DEBUG; its frames' comings and goings are of use at TRACE alone.
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.INFO, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
