"""`python -m web.console.live N`: make live pages for the server at the other end of socket N, until it is gone."""

import asyncio
import os
import signal
import socket
import sys

from bot.archive import Archive
from bot.logs import set_up_logs
from web.console.live.maker import Maker
from web.console.live.messages import ENDINGS, Alive, Begin, read, write
from web.console.live.priority import give_way
from web.console.render import Renderer

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
    archive = Archive(begin.database_url)
    renderer = Renderer(lambda called: begin.policies.get(called, begin.policy), begin.prices)
    maker = Maker(begin, archive, renderer, lambda message: write(writer, message))
    telling = asyncio.create_task(_tell(writer))
    gives_way = False
    while (message := await read(reader)) is not None:
        maker.take(message)
        if not gives_way and maker.gives_way:
            gives_way = True
            give_way(os.getpid())
    under_way = {telling, *asyncio.all_tasks()} - {asyncio.current_task()}
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    writer.close()
    await archive.close()


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
