"""Calls come first: who makes live pages beside many of them runs only when nobody else wants the processor."""

import os
import sys

from loguru import logger


def give_way(pid: int) -> None:
    """From now on, every thread of a process runs only when nobody else wants the processor (sched(7): SCHED_IDLE).

    What is merely nice keeps a stream waiting for a millisecond or two, again and again. There is no way back: where
    something else keeps the whole machine busy, pages come late from then on, and so late in the end that the server
    begins another process. On other systems than Linux nothing happens.
    """
    if sys.platform == "linux":
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except FileNotFoundError:  # it has ended
            return
        for thread in threads:
            try:
                os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))
            except ProcessLookupError:  # it has ended meanwhile
                continue
            except OSError as error:  # a sandbox that forbids it: it stays merely nice
                logger.warning("live pages cannot give way to calls: {}", error)
                return
