"""An announcement: a document that all who are in a conference hear at once.

Source of every protocol fact here: Twilio: Conference resource, `AnnounceUrl`; TwiML `<Conference>`, events. What the
request for the document says of the conference is not documented: the sandbox names the account and the conference.
"""

import asyncio
import time
import xml.etree.ElementTree as ET

from sandbox.account import Account
from sandbox.codec import RATE, Pcm
from sandbox.conference import Conference
from sandbox.documents import DocumentRefused, check_content, number, parse, words
from sandbox.interpreter import FILE
from sandbox.leg import Fetch
from sandbox.voice import speak
from sandbox.webhooks import WebhookFailed

_VERBS = ("Say", "Play", "Pause", "Redirect")
"""What may stand in an announcement."""


class Announcement:
    """One announcement to one conference."""

    def __init__(self, account: Account, conference: Conference, source: Fetch) -> None:
        """Prepare.

        Args:
            account: Whose conference it is.
            conference: Who hears it.
            source: The document.
        """
        self._account = account
        self._conference = conference
        self._source = source
        self._leg = conference.legs[0]

    async def run(self) -> None:
        """Have it heard, and tell the conference's callback how that went."""
        source: Fetch | None = self._source
        try:
            while source is not None:
                source = await self._run_one(source)
        except (DocumentRefused, WebhookFailed) as error:
            self._leg.fail(error.code, str(error))
            self._tell("announcement-fail", ReasonAnnouncementFailed=str(error))
        else:
            if not self._conference.over.is_set():
                self._tell("announcement-end")

    async def _run_one(self, source: Fetch) -> Fetch | None:
        form = {
            "AccountSid": self._account.sid,
            "ConferenceSid": self._conference.sid,
            "FriendlyName": self._conference.name,
        }
        answer = await self._account.webhooks.send(source.url, form, call_sid=self._leg.scene_sid, method=source.method)
        check_content(answer.content_type, answer.body)
        document = parse(answer.body, source.url)
        strange = [verb.tag for verb in document.verbs if verb.tag not in _VERBS]
        if strange:
            raise DocumentRefused(13201, f"<{strange[0]}> is not for an announcement")
        for problem in document.problems:
            self._leg.fail(12200, problem)
        for verb in document.verbs:
            if verb.tag == "Redirect":
                return Fetch(words(verb), verb.get("method", "POST").upper())
            await self._run_verb(verb)
        return None

    async def _run_verb(self, verb: ET.Element) -> None:
        if self._conference.over.is_set():
            return
        if verb.tag == "Pause":
            await self._unless_over(number(verb, "length", 1))
            return
        text = " ".join(words(verb).split())
        pcm: Pcm = speak(text, voice="bot", rate=RATE) if verb.tag == "Say" else FILE
        for _ in range(number(verb, "loop", 1)):
            hearing = self._conference.legs
            sids = [leg.sid for leg in hearing]
            self._leg.journal.note("network", "announces", self._leg.scene_sid, text=text, legs=sids)
            ends = [leg.ear.play(pcm).end for leg in hearing]
            await self._unless_over(max(ends, default=0.0) - time.monotonic())

    async def _unless_over(self, seconds: float) -> None:
        """Let it be heard. Whoever leaves meanwhile has their ear for themselves."""
        try:
            await asyncio.wait_for(self._conference.over.wait(), seconds)
        except TimeoutError:
            return

    def _tell(self, event: str, **more: str) -> None:
        self._conference.tell(self._leg, event, AnnounceUrl=self._source.url, **more)
