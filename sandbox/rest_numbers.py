"""The account's own numbers in REST (Twilio: IncomingPhoneNumber resource)."""

import hashlib
from dataclasses import replace
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.account import Account, Line
from sandbox.rest_answers import Refusal, page

FIELDS = {"VoiceUrl": "voice_url", "VoiceFallbackUrl": "fallback_url", "StatusCallback": "status_callback"}
"""What can be changed here of a number."""

KNOWN = {*FIELDS, "VoiceMethod", "VoiceFallbackMethod", "StatusCallbackMethod"}


def sid_of(number: str) -> str:
    """The SID of one of our numbers."""
    return "PN" + hashlib.md5(number.encode(), usedforsecurity=False).hexdigest()


class NumbersResource:
    """What REST answers about numbers."""

    def __init__(self, account: Account) -> None:
        """Args: account: whose numbers they are."""
        self._account = account

    async def list(self, request: web.Request) -> tuple[int, object]:
        """All of them, or the one that is asked for."""
        wanted = request.query.get("PhoneNumber")
        found = [number for number in self._account.numbers if wanted in (None, number)]
        path = f"{self._account.path}/IncomingPhoneNumbers.json"
        return 200, page("incoming_phone_numbers", path, [self._resource(number) for number in found])

    async def update(self, request: web.Request) -> tuple[int, object]:
        """Change whom a number asks."""
        number = next((n for n in self._account.numbers if sid_of(n) == request.match_info["sid"]), None)
        if number is None:
            raise Refusal(404, 20404, f"The requested resource {request.path} was not found")
        form = {name: str(value) for name, value in (await request.post()).items()}
        if unknown := sorted(form.keys() - KNOWN):
            raise Refusal(400, 20001, f"the sandbox changes no {', '.join(unknown)}")
        for name in FIELDS.keys() & form.keys():
            if form[name] and urlsplit(form[name]).scheme not in ("http", "https"):
                raise Refusal(400, 21402, f"{name} is not valid: {form[name]}")
        changes = {FIELDS[name]: form[name] or None for name in FIELDS.keys() & form.keys()}
        self._account.numbers[number] = replace(self._account.numbers[number], **changes)
        return 200, self._resource(number)

    def _resource(self, number: str) -> dict[str, object]:
        line: Line = self._account.numbers[number]
        return {
            "sid": sid_of(number),
            "account_sid": self._account.sid,
            "phone_number": number,
            "friendly_name": number,
            "voice_url": line.voice_url or "",
            "voice_method": "POST",
            "voice_fallback_url": line.fallback_url or "",
            "voice_fallback_method": "POST",
            "status_callback": line.status_callback or "",
            "status_callback_method": "POST",
            "capabilities": {"voice": True, "sms": line.sms, "mms": False, "fax": False},
            "uri": f"{self._account.path}/IncomingPhoneNumbers/{sid_of(number)}.json",
        }
