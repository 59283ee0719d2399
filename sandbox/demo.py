"""`python server.py demo`: calls through the real server, in a process of its own, on this machine alone."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sandbox.check import Played, problems
from sandbox.codec import write_wav
from sandbox.process import server_process
from sandbox.stage import Stage
from sandbox.story import load, names
from sandbox.telephone.server import telephone
from sandbox.timeline import Timeline

SHOWN = ("put_through", "next_number", "barge_in", "message")
"""The stories that `make demo` plays: a minute's worth."""

FOLDER = Path("demo-calls")


def play(chosen: Sequence[str], *, keep: bool) -> int:
    """Play stories against the real server.

    Args:
        chosen: The stories' names; those of `SHOWN` where there are none.
        keep: Leave the server up until Ctrl-C.

    Returns:
        0 when every story held, 1 when one did not, 2 when there is no such story.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 140  # a log has no edge to fold at
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        console.print(f"There is no story {', '.join(unknown)}. There are: {', '.join(names())}.")
        return 2
    try:
        return asyncio.run(_play(chosen or SHOWN, console, keep=keep))
    except KeyboardInterrupt:
        return 130


async def _play(chosen: Sequence[str], console: Console, *, keep: bool) -> int:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("calls.db*"):
        old.unlink()
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        with console.status("starting the server …"):
            server = await stack.enter_async_context(server_process(stage, FOLDER))
        stage.journal.subscribe(Timeline(console))
        played: list[tuple[Played, list[str]]] = []
        for name in chosen:
            story = load(name)
            console.print(f"\n[bold]{name}[/]  {story.title}")
            result = await stage.play(name, story)
            found = problems(result)
            played.append((result, found))
            write_wav(FOLDER / f"{name}.wav", result.call.heard)
            for problem in found:
                console.print(f"         [bold red]did not hold:[/] {problem}")
        console.print(_table(played))
        console.print(f"What each caller heard: {FOLDER}/*.wav     The record: {FOLDER}/calls.db")
        if keep:
            address = await stack.enter_async_context(telephone(stage))
            console.print("\nEverything stays up until Ctrl-C. Open these two beside each other:")
            console.print(f"  [bold]The telephone[/]  {address}   call the bot, and play the people whom it rings")
            console.print(f"  [bold]The console[/]    {server.url}/console   watch the call, and act on it")
            await asyncio.Event().wait()
        console.print(f"A telephone and the console in your browser: python server.py demo {chosen[0]} --keep")
    return 1 if any(found for _, found in played) else 0


def _table(played: Sequence[tuple[Played, list[str]]]) -> Table:
    table = Table(title="\nWhat came of it", title_justify="left")
    for column in ("story", "end", "attempts", "redirects", "goodbye → redirect", "dead air", "held"):
        table.add_column(column)
    for result, found in played:
        attempts = ", ".join(f"…{a['number'][-4:]} {a['outcome']}" for a in result.record["attempts"])
        gaps = ", ".join(f"{gap * 1000:.0f} ms" for gap in result.goodbye_gaps)
        table.add_row(
            result.name,
            result.record["end"],
            attempts,
            str(len(result.redirects)),
            gaps,
            f"{result.dead_air:.1f} s",
            "[red]no[/]" if found else "[green]yes[/]",
        )
    return table
