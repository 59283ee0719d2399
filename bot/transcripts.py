"""Messages that callers left are written down by a model, where the operator wants that.

The sound is fetched from Twilio and sent to OpenAI's transcriptions, on the thread of everything that calls shall not
wait for. What comes of it is a fact about the call: the first who tells it is right, so a message is written down once,
however many processes there are and whichever of them dies.
"""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger
from openai import APIStatusError, AsyncOpenAI, OpenAIError

from bot import transcript_book as book
from bot.events import MessageTranscribed
from bot.ledger import LedgerError
from bot.loop_thread import LoopThread
from bot.recordings import Recordings
from bot.switchboard import Switchboard
from bot.telephony import TelephonyError
from bot.transcript_book import Task
from bot.voicemail import Transcription

LOOK_SECONDS = 2.0
"""How often a process looks."""

AT_ONCE = 4
"""So many messages are written down at the same time."""

ANSWER_SECONDS = 90.0
"""The longest wait for the model."""

LEASE_SECONDS = 180.0
"""For so long nobody else takes a message that a process is at: longer than fetching it and the model take."""

TRIES = 6

RETRY_SECONDS = 5.0
"""How long after the first try the second one is made; each further pause is four times as long."""

RECENT_SECONDS = 86_400.0
"""Only messages of the last day are looked for: whoever turns this on does not pay for all that was ever said."""

OPENAI_URL = "https://api.openai.com/v1"

_FOR_NOW = (408, 409, 429)
"""Refusals that may be none a moment later."""


class _Failed(Exception):
    """A message was not written down."""

    def __init__(self, transcription: Transcription, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.transcription = transcription
        self.for_good = for_good


class Transcripts:
    """Has messages written down."""

    def __init__(
        self, switchboard: Switchboard, recordings: Recordings, aside: LoopThread, *, api_key: str, base_url: str
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            switchboard: Finds the calls.
            recordings: The account's.
            aside: Where the sending is done.
            api_key: OpenAI's.
            base_url: OpenAI's API, or what speaks like it.
        """
        self._switchboard = switchboard
        self._ledger = switchboard.ledger
        self._recordings = recordings
        self._aside = aside
        self._api_key = api_key
        self._base_url = base_url

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look for ever."""
        while True:
            try:
                await self.work()
            except LedgerError as error:
                logger.debug("no message is written down while the record does not answer: {}", error)
            await sleep(LOOK_SECONDS)

    async def work(self) -> None:
        """Write down what is due. Raises `LedgerError`."""
        now = self._switchboard.now()
        since = now - RECENT_SECONDS
        due = await self._ledger.transact(lambda connection: book.due(connection, now, since, AT_ONCE))
        await asyncio.gather(*(self._take(task, now) for task in due))

    async def _take(self, task: Task, now: float) -> None:
        with logger.contextualize(call_sid=task.call_sid):
            if await self._ledger.transact(lambda connection: book.take(connection, task, now + LEASE_SECONDS)):
                await self._write_down(task)

    async def _write_down(self, task: Task) -> None:
        session = await self._switchboard.find(task.call_sid)
        if session is None:
            return  # the record does not answer; it is due again
        message = session.call.message
        model = self._switchboard.policy_of(session.call.called).voicemail.transcriber
        if message is not None and message.url and message.transcription is None and model is not None:
            try:
                text = await self._aside.run(self._transcribe(message.url, model))
            except _Failed as error:
                if not error.for_good and task.tries + 1 < TRIES:
                    logger.warning("a message is not written down yet: {}", error)
                    until = self._switchboard.now() + RETRY_SECONDS * 4**task.tries
                    await self._ledger.transact(lambda connection: book.put_off(connection, task.call_sid, until))
                    return
                logger.error("a message is not written down: {}", error)
                fact = MessageTranscribed(at=self._switchboard.now(), transcription=error.transcription)
            else:
                came_of_it = Transcription.WRITTEN if text else Transcription.EMPTY
                fact = MessageTranscribed(at=self._switchboard.now(), transcription=came_of_it, text=text)
            await session.apply(fact)
        at = self._switchboard.now()
        await self._ledger.transact(lambda connection: book.close(connection, task.call_sid, at))

    async def _transcribe(self, address: str, model: str) -> str:
        try:
            sound = await self._recordings.fetch(address)
        except TelephonyError as error:
            raise _Failed(Transcription.NO_RECORDING, str(error)) from error
        try:
            async with AsyncOpenAI(
                api_key=self._api_key, base_url=self._base_url, timeout=ANSWER_SECONDS, max_retries=0
            ) as client:
                said = await client.audio.transcriptions.create(model=model, file=("message.wav", sound, "audio/wav"))
        except APIStatusError as error:
            if error.status_code < 500 and error.status_code not in _FOR_NOW:
                raise _Failed(Transcription.REFUSED, str(error), for_good=True) from error
            raise _Failed(Transcription.UNAVAILABLE, str(error)) from error
        except (OpenAIError, ValueError) as error:  # no connection, no answer in time, or one that is no JSON
            raise _Failed(Transcription.UNAVAILABLE, repr(error)) from error
        text: object = getattr(said, "text", None)  # what is not JSON comes as it is
        if not isinstance(text, str):
            raise _Failed(Transcription.UNAVAILABLE, "the answer holds no text")
        return text.strip()
