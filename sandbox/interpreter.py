"""Runs TwiML documents on a leg: the verbs that every leg knows."""

import asyncio
import io
import time
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from enum import Enum
from urllib.parse import urljoin

from sandbox.account import Account
from sandbox.codec import RATE, Pcm, read_wav
from sandbox.documents import (
    Document,
    DocumentRefused,
    check_content,
    flag,
    number,
    parse,
    words,
)
from sandbox.leg import Fetch, Inline, Leg, Source
from sandbox.sound import tone
from sandbox.voice import speak
from sandbox.webhooks import Unroutable, WebhookFailed

APPLICATION_ERROR = "We are sorry, an application error has occurred. Goodbye."
"""What Twilio says when a document cannot be had, before it hangs up (Twilio: error 11200)."""

FILE = tone(600, seconds=1.0)
"""What stands for a file that is played."""


class Over(Enum):
    """How running documents ended."""

    ENDED = "the last document ended"
    HUNG_UP = "a document hung up, or there was none to be had"


Step = Source | Over | None
"""What comes after a verb: another document, the end, or the next verb."""


class Interpreter:
    """Runs documents on one leg, one after the other, until there is no next one."""

    def __init__(self, leg: Leg, account: Account, *, fallback_url: str | None = None) -> None:
        """Prepare.

        Args:
            leg: Where the documents are run.
            account: The account whose leg it is.
            fallback_url: Asked when a document cannot be had.
        """
        self.leg = leg
        self.account = account
        self._fallback_url = fallback_url
        self._verbs: dict[str, Callable[[ET.Element, Document], Awaitable[Step]]] = {
            "Say": self._say,
            "Play": self._play,
            "Pause": self._pause,
            "Gather": self._gather,
            "Redirect": self._redirect,
            "Hangup": self._hang_up,
        }

    async def run(self, source: Source) -> Over:
        """Run a document, and those that follow from it.

        Raises:
            Interruption: The leg is to do something else.
        """
        step: Source | Over = source
        while not isinstance(step, Over):
            step = await self._run_one(step)
        return step

    async def _run_one(self, source: Source) -> Source | Over:
        try:
            document = await self.leg.unless_interrupted(self._read(source))
            for verb in document.verbs:
                step = await self._run_verb(verb, document)
                if step is not None:
                    return step
        except DocumentRefused as error:
            return await self._give_up(error.code, str(error), source)
        except WebhookFailed as error:
            return await self._give_up(error.code, str(error), source)
        return Over.ENDED

    async def _read(self, source: Source) -> Document:
        if isinstance(source, Inline):
            document = parse(source.text, None)
        else:
            form = self.leg.form() | dict(source.fields)
            answer = await self.account.webhooks.send(
                source.url, form, call_sid=self.leg.scene_sid, method=source.method
            )
            check_content(answer.content_type, answer.body)
            document = parse(answer.body, source.url)
        for problem in document.problems:
            if self.account.strict:
                self.leg.fail(12200, problem)
            else:
                self.leg.warn(12200, problem)
        return document

    async def _run_verb(self, verb: ET.Element, document: Document) -> Step:
        run = self._verbs.get(verb.tag)
        if run is None:
            raise DocumentRefused(13201, f"<{verb.tag}> is not for this leg")
        self.leg.journal.note("network", "verb", self.leg.scene_sid, name=verb.tag, leg=self.leg.sid)
        return await run(verb, document)

    async def _give_up(self, code: int, text: str, source: Source) -> Source | Over:
        """A document cannot be had or run: the fallback, or an announcement and the end."""
        self.leg.fail(code, text)
        url = source.url if isinstance(source, Fetch) else ""
        if self._fallback_url is not None and url != self._fallback_url:
            fields = (("ErrorCode", str(code)), ("ErrorUrl", url))
            return Fetch(self._fallback_url, fields=fields)
        await self.let_hear(speak(APPLICATION_ERROR, voice="bot", rate=RATE))
        return Over.HUNG_UP

    # --- what verbs have in common ---

    async def let_hear(self, pcm: Pcm) -> None:
        """Play something to its end, or until the leg is interrupted."""
        self.leg.answer()
        span = self.leg.ear.play(pcm)
        try:
            await self.leg.unless_interrupted(asyncio.sleep(span.end - time.monotonic()))
        finally:
            self.leg.ear.cut()

    def resolve(self, document: Document, url: str) -> str:
        """An address in a document: relative ones count from the document's own.

        Raises:
            DocumentRefused: 11100, it is relative and the document has no address.
        """
        if document.url is None and "://" not in url:
            raise DocumentRefused(11100, f"{url!r} is not an absolute address")
        return urljoin(document.url or "", url)

    def action(self, verb: ET.Element, document: Document, **fields: str) -> Fetch:
        """The request for a verb's `action`; without one, for the document itself again."""
        url = self.resolve(document, verb.get("action", ""))
        return Fetch(url, verb.get("method", "POST").upper(), tuple(fields.items()))

    async def ask_in_vain(self, request: Fetch) -> None:
        """Send a request whose answer can change nothing any more."""
        form = self.leg.form() | dict(request.fields)
        try:
            await self.account.webhooks.send(request.url, form, call_sid=self.leg.scene_sid, method=request.method)
        except WebhookFailed as error:
            self.leg.fail(error.code, str(error))

    # --- verbs ---

    async def _say(self, verb: ET.Element, document: Document) -> None:
        text = " ".join(words(verb).split())
        self.leg.journal.note("network", "says", self.leg.scene_sid, text=text, leg=self.leg.sid)
        for _ in range(number(verb, "loop", 1)):
            await self.let_hear(speak(text, voice="bot", rate=RATE))

    async def _play(self, verb: ET.Element, document: Document) -> None:
        sound = await self._sound(self.resolve(document, words(verb)))
        for _ in range(number(verb, "loop", 1)):
            await self.let_hear(sound)

    async def _sound(self, url: str) -> Pcm:
        """A file that is played. Where it is not on this machine, a tone stands for it."""
        try:
            answer = await self.leg.unless_interrupted(self.account.webhooks.fetch(url))
        except Unroutable:
            return FILE
        if not answer.content_type.startswith("audio/"):
            raise DocumentRefused(12300, f"content type {answer.content_type!r} is not audio")
        try:
            return read_wav(io.BytesIO(answer.body))
        except ValueError as error:
            raise DocumentRefused(12300, f"that cannot be played: {error}") from None

    async def _pause(self, verb: ET.Element, document: Document) -> None:
        await self.leg.unless_interrupted(asyncio.sleep(number(verb, "length", 1)))

    async def _redirect(self, verb: ET.Element, document: Document) -> Source:
        return Fetch(self.resolve(document, words(verb)), verb.get("method", "POST").upper())

    async def _hang_up(self, verb: ET.Element, document: Document) -> Over:
        return Over.HUNG_UP

    async def _gather(self, verb: ET.Element, document: Document) -> Step:
        """Collect keys; with some, the `action` decides what comes (Twilio: TwiML `<Gather>`)."""
        if verb.get("input", "dtmf") != "dtmf":
            raise DocumentRefused(12200, "the sandbox gathers keys only")
        self.leg.answer()
        with self.leg.listening() as keys:
            digits = await self.leg.unless_interrupted(self._collect(verb, document, keys))
        if digits or flag(verb, "actionOnEmptyResult"):
            return self.action(verb, document, Digits=digits, msg="Gather End")
        return None

    async def _collect(self, verb: ET.Element, document: Document, keys: asyncio.Queue[str]) -> str:
        timeout = number(verb, "timeout", 5)
        most = number(verb, "numDigits", 0)
        finish = verb.get("finishOnKey", "#")
        prompts = asyncio.create_task(self._prompt(verb, document))
        key = asyncio.create_task(keys.get())
        digits = ""
        try:
            await asyncio.wait({prompts, key}, return_when=asyncio.FIRST_COMPLETED)
            if prompts.done():
                prompts.result()  # what cannot be said or played is an error of the document's
            prompts.cancel()
            while (pressed := await asyncio.wait_for(key, timeout)) != finish:
                digits += pressed
                if len(digits) == most:
                    break
                key = asyncio.create_task(keys.get())
        except TimeoutError:
            pass
        finally:
            key.cancel()
            prompts.cancel()
            await asyncio.gather(key, prompts, return_exceptions=True)
        return digits

    async def _prompt(self, gather: ET.Element, document: Document) -> None:
        for verb in gather:
            if verb.tag in ("Say", "Play", "Pause"):
                await self._verbs[verb.tag](verb, document)
