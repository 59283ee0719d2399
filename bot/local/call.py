"""One call without Twilio: from a page's or an eval's transport to the law, the pipeline and a simulated telephone."""

import asyncio
import secrets
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.frames.frames import EndFrame, Frame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frameworks.rtvi import RTVIObserverParams, RTVIServerMessageFrame
from pipecat.processors.frameworks.rtvi.observer import RTVIFunctionCallReportLevel
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from bot.conversation import Conversation
from bot.environment import read_environment
from bot.line import Line, open_line
from bot.local.desk import Act, Tester
from bot.local.handset import Handset, Mirror
from bot.local.telephone import LocalTelephone
from bot.local.wire import InstantPlayer, LocalWire, Loudspeaker
from bot.media import SAMPLE_RATE
from bot.session import Session
from bot.settings import Configuration, load_all

CALLER, CALLED = "+442079460123", "+12025550100"
"""Who calls whom, in the record and in what people hear: numbers that are nobody's."""

LEAVE_SECONDS = 3.0
"""How long a call has to end when its client has left."""


def local_configuration(folder: Path, **settings: str) -> Configuration:
    """The operator's own configuration, of which nothing about Twilio and the record counts: neither is touched.

    Args:
        folder: Where the record of the call goes.
        **settings: What goes above everything else.

    Raises:
        ConfigurationError: Everything that is missing or wrong.
    """
    apart = {
        "PUBLIC_URL": "http://localhost",
        "TWILIO_ACCOUNT_SID": f"AC{'0' * 32}",
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "TWILIO_API_KEY_SID": "",
        "TWILIO_API_KEY_SECRET": "",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/calls.db",
        "SPOOL": "",
    }
    values = {**read_environment(None, ".env").values, **apart, **settings}
    return load_all({name: value for name, value in values.items() if value}, None)


async def call_locally(transport: BaseTransport, tester: Tester, *, aloud: bool, **settings: str) -> None:
    """Lead one call, from the client's being ready until it leaves or the call has ended.

    Args:
        transport: Pipecat's, to a client that speaks RTVI.
        tester: Decides what people do.
        aloud: Whether the client hears the call, in real time; otherwise it reads and types.
        **settings: What goes above the operator's own configuration.

    Raises:
        ConfigurationError: Everything that is missing or wrong in the configuration.
    """
    with tempfile.TemporaryDirectory(prefix="putthrough-") as folder:
        configuration = local_configuration(Path(folder), **settings)
        call = _LocalCall(transport, configuration, tester, aloud=aloud)
        async with open_line(configuration, call.telephone) as line:
            await call.run(line)


class _LocalCall:
    """One call, and the pipeline at its caller's end. It is the handset's `Caller` and the telephone's `Tester`."""

    def __init__(self, transport: BaseTransport, configuration: Configuration, tester: Tester, *, aloud: bool) -> None:
        self._tester = tester
        self._shown: asyncio.Queue[Frame] = asyncio.Queue()
        self._loudspeaker = Loudspeaker(self._play) if aloud else None
        self.telephone = LocalTelephone(configuration.policy, self, self._loudspeaker or InstantPlayer())
        self._conversation: Conversation | None = None
        self._begun = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._handset = Handset(self)
        self._transport = transport
        self._worker = PipelineWorker(
            Pipeline([transport.input(), self._handset, transport.output()]),
            params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE, audio_out_sample_rate=SAMPLE_RATE),
            cancel_on_idle_timeout=False,
            idle_timeout_secs=None,
            rtvi_observer_params=RTVIObserverParams(
                function_call_report_level={"*": RTVIFunctionCallReportLevel.FULL}  # the client is the tester's own
            ),
        )

    async def run(self, line: Line) -> None:
        """Wait for the client, and lead the call."""

        @self._worker.rtvi.event_handler("on_client_ready")
        async def on_client_ready(_: Any) -> None:
            if not self._begun:  # a client may say so again
                self._begun = True
                self._spawn(self._live(line))

        @self._transport.event_handler("on_client_disconnected")
        async def on_client_disconnected(*_: Any) -> None:
            self.telephone.caller_hangs_up()
            await self._worker.cancel(reason="the client has left")

        runner = WorkerRunner(handle_sigint=False)
        try:
            await runner.add_workers(self._worker)
            await runner.run()
        finally:
            self.telephone.caller_hangs_up()
            _, late = await asyncio.wait(self._tasks, timeout=LEAVE_SECONDS) if self._tasks else ((), ())
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live(self, line: Line) -> None:
        """From the call's coming in to its end, and then to the client's."""
        sid, switchboard = self.telephone.sid, line.switchboard
        showing = [asyncio.create_task(self._show())]
        if self._loudspeaker is not None:
            showing.append(asyncio.create_task(self._loudspeaker.run()))
        try:
            with logger.contextualize(call_sid=sid):
                await switchboard.answer_call(sid, CALLER, CALLED)
                session = await switchboard.find(sid)
                if session is not None:
                    await self.telephone.run(session, lambda wire: self._talk(line, wire, session))
            await self._shown.join()
        finally:
            for task in showing:
                task.cancel()
            await asyncio.gather(*showing, return_exceptions=True)
            await self._worker.queue_frame(EndFrame())

    async def _talk(self, line: Line, wire: LocalWire, session: Session) -> None:
        def begun(conversation: Conversation) -> None:
            self._conversation = conversation

        try:
            mirror = Mirror(self._shown.put_nowait)
            await line.talk(wire, wire.stream_sid, session, observers=[mirror], begun=begun)
        finally:
            self._conversation = None

    # --- bot.local.handset.Caller --------------------------------------------------------------------

    def speak(self, pcm: bytes) -> None:
        """See `Caller`."""
        if self.telephone.wire is not None:
            self.telephone.wire.speak(pcm)

    def write(self, text: str) -> None:
        """See `Caller`. What is typed while nobody is there to read it is lost, as what is said would be."""
        if self._conversation is not None:
            self._spawn(self._conversation.write(text))

    def press(self, digit: str) -> None:
        """See `Caller`."""
        if self.telephone.wire is not None:
            self.telephone.wire.press(digit)

    # --- what the client is shown --------------------------------------------------------------------

    def tell(self, what: str) -> None:
        """See `Tester`: the tester is told, the log, and the client."""
        logger.info("telephone: {}", what)
        self._tester.tell(what)
        self._shown.put_nowait(RTVIServerMessageFrame({"type": "telephone", "text": what}))

    async def choose(self, question: str, acts: tuple[Act, ...], seconds: float | None) -> Act | None:
        """See `Tester`."""
        return await self._tester.choose(question, acts, seconds)

    def _play(self, pcm: bytes) -> None:
        self._shown.put_nowait(OutputAudioRawFrame(pcm, SAMPLE_RATE, 1))

    async def _show(self) -> None:
        while True:
            await self._handset.push_frame(await self._shown.get())
            self._shown.task_done()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._is_over)

    def _is_over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.opt(exception=error).error("a part of a local call broke")
