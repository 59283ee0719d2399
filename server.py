"""Putthrough's only entry: `python server.py` answers calls; `demo` and `check` are its other verbs."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Sequence

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from bot.call_out import call_out
from bot.environment import read_environment
from bot.heartbeat import Heartbeat
from bot.line import open_line
from bot.logs import set_up_logs
from bot.our_numbers import set_up
from bot.settings import CALL_TOOLS, Configuration, load_all
from bot.traces import set_up_traces
from pipelines.load import load_chain
from pipelines.problems import ConfigurationError, Problem
from web.app import create_app
from web.draining import DrainingServer
from web.media_socket import MediaSocketProtocol

EXIT_MISCONFIGURED = 2

SWITCH_SECONDS = 0.0005
"""How long the record's thread may keep the calls' waiting. Python's own 5 ms are a quarter of an audio frame."""

GARBAGE = (20_000, 5, 1)
"""`gc.set_threshold`: how often the collector looks for garbage. There is some when a call has ended, nearly none while
people talk; and whenever it looks, all calls wait, for tens of milliseconds where there are a hundred. At Python's own
700 objects that was a fiftieth of the time; at these it is a five-hundredth, and what some dozens of calls leave, tens
of megabytes, waits for it."""


async def serve(configuration: Configuration) -> None:
    """Answer calls until the process is told to stop."""
    settings = configuration.settings
    async with open_line(configuration) as line:
        app = create_app(line)
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            ws=MediaSocketProtocol,
            ws_per_message_deflate=False,
            timeout_keep_alive=75,  # Twilio keeps connections longer than 5 s; one closed under it is a lost webhook
            server_header=False,
        )
        _settle_down()
        with Heartbeat():
            await DrainingServer(
                config,
                line.switchboard,
                drain_seconds=settings.drain_seconds,
                before_end=app.state.console.close,
            ).serve()


def _settle_down() -> None:
    """Keep what is not a call out of the calls' way."""
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not look through it while people talk
    gc.set_threshold(*GARBAGE)
    sys.setswitchinterval(SWITCH_SECONDS)


def check_pipelines(names: Sequence[str]) -> int:
    """Say what is wrong with some pipelines. Returns the process's exit status."""
    problems: list[Problem] = []
    for name in names:
        try:
            load_chain(name, read_environment(None, ".env").values, taken=CALL_TOOLS)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        print(ConfigurationError(dict.fromkeys(problems)), file=sys.stderr)
        return EXIT_MISCONFIGURED
    print(f"{', '.join(names)}: complete.")
    return 0


def _parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(prog="server.py", description=__doc__)
    verbs = parser.add_subparsers(dest="verb")
    verbs.add_parser("serve", help="answer calls (the default)")
    number = verbs.add_parser("number", help="point a number of yours here; without one, say whom each of them asks")
    number.add_argument("number", nargs="?", help="the number, e.g. +12025550100")
    number.add_argument("--fallback", help="the address of a document kept at Twilio, for when nothing here answers")
    number.add_argument("--after-message", help="print that document; its recorder goes on at this address")
    out = verbs.add_parser("call-out", help="have the running server's bot call somebody")
    out.add_argument("number", help="who is called, e.g. +12025550143: one of those that handoff.yaml allows")
    out.add_argument("--from", dest="from_", metavar="NUMBER", help="the number of ours that they see")
    out.add_argument("--purpose", default="", help="what the call is for, as the bot is told")
    out.add_argument("--server", metavar="URL", help="the server's address, where it is not on this machine")
    out.add_argument("--wait", action="store_true", help="wait until the call is over")
    check = verbs.add_parser("check", help="say what is wrong with the configuration, and exit")
    check.add_argument("pipeline", nargs="*", help="pipelines to look at instead, by name or path")
    demo = verbs.add_parser("demo", help="play calls against the real server, on this machine alone")
    demo.add_argument("story", nargs="*", help="names of the stories to play; all of them by default")
    demo.add_argument("--keep", action="store_true", help="leave a telephone and the console up for your browser")
    call = verbs.add_parser("call", help="a telephone in this terminal: type what the caller says")
    call.add_argument("--to", metavar="URL", help="a server that runs already, e.g. http://127.0.0.1:8000")
    call.add_argument("--real", action="store_true", help="talk with the model of .env instead of the sandbox's")
    call.add_argument(
        "--rest-port", type=int, default=8021, help="where that server finds the network's REST: %(default)s"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one verb. Returns the process's exit status."""
    options = _parser().parse_args(arguments)
    if options.verb == "demo":
        from sandbox.demo import play  # the sandbox is no part of a production server

        return play(options.story, keep=options.keep)
    if options.verb == "call":
        from sandbox.terminal import call as make_call

        return make_call(to=options.to, real=options.real, rest_port=options.rest_port)
    if options.verb == "check" and options.pipeline:
        return check_pipelines(options.pipeline)
    try:
        configuration = load_all()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return EXIT_MISCONFIGURED
    if options.verb == "check":
        print("The configuration is complete.")
        return 0
    if options.verb == "number":
        told = set_up(configuration, options.number, fallback=options.fallback, after_message=options.after_message)
        return asyncio.run(told)
    if options.verb == "call-out":
        given = {name: getattr(options, name) for name in ("from_", "purpose", "server", "wait")}
        return asyncio.run(call_out(configuration.settings, options.number, **given))
    set_up_logs(configuration.settings.log_level, configuration.settings.log_format)
    set_up_traces(os.environ)
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(serve(configuration))
    return 0


if __name__ == "__main__":
    sys.exit(main())
