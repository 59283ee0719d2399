"""`python -m web.console.live N`: make live pages for the server at the other end of socket N, until it is gone."""

import asyncio
import os
import signal
import socket
import sys

from loguru import logger

from bot.logs import set_up_logs
from web.console.live.maker import Maker
from web.console.live.messages import ENDINGS, Alive, Begin, read, write

NICE = 10
"""So much further behind the server it stands in line for a processor (see nice(1))."""

ALIVE_SECONDS = 5.0
"""How often the server hears that this process does not stand still."""


async def make_pages(descriptor: int) -> None:
    """Until the server is gone. Args: descriptor: of the socket."""
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=descriptor))
    begin = await read(reader)
    if not isinstance(begin, Begin):
        return
    set_up_logs(begin.log_level, begin.log_format)
    maker = Maker(begin, lambda message: write(writer, message))
    alive = asyncio.create_task(_tell(writer))
    gives_way = False
    while (message := await read(reader)) is not None:
        maker.take(message)
        if not gives_way and maker.gives_way:
            gives_way = True
            _give_way()
    alive.cancel()
    writer.close()
    await maker.close()


def _give_way() -> None:
    """From now on, every thread runs only when nobody else wants the processor (sched(7): SCHED_IDLE).

    What is merely nice keeps a stream waiting for a millisecond or two, again and again. There is no way back: where
    something else keeps the whole machine busy, pages come late from then on, and so late in the end that the server
    begins another process.
    """
    if sys.platform == "linux":
        for thread in os.listdir("/proc/self/task"):
            try:
                os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))
            except ProcessLookupError:  # it has ended meanwhile
                continue
            except OSError as error:  # a sandbox that forbids it: it stays merely nice
                logger.warning("live pages cannot give way to calls: {}", error)
                return


async def _tell(writer: asyncio.StreamWriter) -> None:
    while True:
        write(writer, Alive())
        await asyncio.sleep(ALIVE_SECONDS)


if __name__ == "__main__":
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)  # those that came before this line are forgotten
    os.nice(NICE)
    asyncio.run(make_pages(int(sys.argv[1])))
