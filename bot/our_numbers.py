"""Our own numbers at Twilio: whom they ask, and whom when nothing of ours answers. `python server.py number`."""

# The twilio library has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bot import twiml
from bot.addresses import OVERRIDES
from bot.routing import Policy
from bot.settings import Configuration, Settings
from bot.telephony import TelephonyError
from bot.twilio_rest import TwilioTelephony

EXAMPLE = "https://handler.twilio.com/twiml/EH…"
"""How the address of a document looks that is kept at Twilio (Twilio: TwiML Bins)."""

HOSTED = f"""
When nothing of ours answers, Twilio asks a number's fallback address. The document there has to be kept at Twilio. Make
two of them in Twilio's console, under TwiML Bins:

1. One that ends a call. Paste this, and copy the address that the bin gets:

{{end}}

2. `python server.py number --after-message {EXAMPLE}` with that address prints the second one. Paste it, and copy its
   address, too.

3. `python server.py number +12025550100 --fallback {EXAMPLE}` with the second address.
"""


@dataclass(frozen=True, slots=True)
class OurNumber:
    """One number of the account."""

    sid: str
    e164: str
    voice_url: str
    fallback_url: str


class Numbers:
    """The account's numbers. Everything that goes wrong is a `bot.telephony.TelephonyError`."""

    def __init__(self, twilio: TwilioTelephony) -> None:
        """Args: twilio: the way to REST."""
        self._numbers: Any = twilio.client.incoming_phone_numbers

    async def all(self) -> list[OurNumber]:
        """Every number, in Twilio's order."""
        return [
            OurNumber(number.sid, number.phone_number, number.voice_url or "", number.voice_fallback_url or "")
            for number in await self._numbers.list_async()
        ]

    async def point(self, sid: str, *, public_url: str, fallback_url: str | None) -> None:
        """Let a number ask us.

        Args:
            sid: The number's own SID.
            public_url: Our address.
            fallback_url: Whom it asks when we do not answer; None leaves that as it is.
        """
        fallback = {} if fallback_url is None else {"voice_fallback_url": fallback_url, "voice_fallback_method": "POST"}
        await self._numbers(sid).update_async(
            voice_url=voice_url(public_url),
            voice_method="POST",
            status_callback=f"{public_url}/twilio/status",
            status_callback_method="POST",
            **fallback,
        )


def voice_url(public_url: str) -> str:
    """What a number asks when it is called, and how patiently."""
    return f"{public_url}/twilio/voice{OVERRIDES}"


async def set_up(
    configuration: Configuration,
    number: str | None,
    *,
    fallback: str | None,
    after_message: str | None,
    say: Callable[[str], None] = print,
) -> int:
    """Do what `python server.py number` was asked to do.

    Args:
        configuration: Settings and policy.
        number: The number to be pointed here, in any spelling; None for none.
        fallback: Whom it shall ask when nothing of ours answers.
        after_message: Where the hosted document goes on after the recorder; None to be told how to make one.
        say: Tells the operator.

    Returns:
        The exit status.
    """
    settings, policy = configuration.settings, configuration.policy
    for name, url in (("--fallback", fallback), ("--after-message", after_message)):
        if url is not None and (wrong := _not_hosted(url, settings)):
            say(f"{name}: {wrong}")
            return 2
    if after_message is not None:
        say(twiml.hosted_fallback(policy, after_message))
        return 0
    async with TwilioTelephony(
        settings.twilio_account_sid,
        auth_token=settings.twilio_auth_token.get_secret_value(),
        api_key=settings.twilio_api_key,
        api_url=settings.twilio_api_url,
    ) as twilio:
        try:
            return await _set_up(Numbers(twilio), number, fallback, settings, policy, say)
        except TelephonyError as error:
            say(f"Twilio: {error}")
            return 1


async def _set_up(
    numbers: Numbers,
    number: str | None,
    fallback: str | None,
    settings: Settings,
    policy: Policy,
    say: Callable[[str], None],
) -> int:
    there = await numbers.all()
    if number is None:
        for line in _told(there, settings):
            say(line)
        if not all(each.fallback_url for each in there):
            say(HOSTED.format(end=twiml.hang_up()))
        return 0
    wanted = re.sub(r"[^+0-9]", "", number)
    ours = next((each for each in there if each.e164 == wanted), None)
    if ours is None:
        say(f"{number} is no number of this account. There is: {', '.join(each.e164 for each in there) or 'none'}.")
        return 2
    await numbers.point(ours.sid, public_url=settings.public_url, fallback_url=fallback)
    say(f"{ours.e164} asks {voice_url(settings.public_url)}")
    say(_fallback_told(fallback or ours.fallback_url))
    return 0


def _told(there: Sequence[OurNumber], settings: Settings) -> list[str]:
    lines: list[str] = []
    for each in there:
        asked = each.voice_url.partition("#")[0].removeprefix(settings.public_url)
        if asked.startswith("/twilio/queue/"):
            lines.append(f"{each.e164} is for people who take callers of {asked.removeprefix('/twilio/queue/')}.")
            continue
        asks = "asks this server" if asked == "/twilio/voice" else f"asks {each.voice_url or 'nobody'}, not this server"
        lines.append(f"{each.e164} {asks}. {_fallback_told(each.fallback_url)}")
    return lines or ["This account has no number yet. Buy one in Twilio's console."]


def _fallback_told(url: str) -> str:
    return f"When that does not answer: {url}" if url else "When that does not answer, the call ends: see --fallback."


def _not_hosted(url: str, settings: Settings) -> str | None:
    """Why this is no address for when our servers are gone, if so."""
    if not re.match(r"https://[^/?#\s]+/\S*$", url):
        return f"{url} is not an https address; it looks like {EXAMPLE}"
    if url.startswith(settings.public_url):
        return f"{url} is this server's own address, and would not answer either; it looks like {EXAMPLE}"
    return None
