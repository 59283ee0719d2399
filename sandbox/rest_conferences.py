"""Conferences in REST (Twilio: Conference resource)."""

from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.account import Account
from sandbox.announcement import Announcement
from sandbox.conference import Conference
from sandbox.leg import Fetch
from sandbox.rest_answers import Refusal


class ConferencesResource:
    """What REST answers about conferences. It knows them by their SID alone, as Twilio does."""

    def __init__(self, account: Account) -> None:
        """Args: account: whose conferences they are."""
        self._account = account

    async def fetch(self, request: web.Request) -> tuple[int, object]:
        """Look at one."""
        return 200, self._resource(self._conference(request))

    async def update(self, request: web.Request) -> tuple[int, object]:
        """Announce something to all who are in one.

        That one that is over, or has not begun, is not found is what the sandbox has chosen: it is not documented.
        """
        conference = self._conference(request)
        form = await request.post()
        url, method = form.get("AnnounceUrl"), str(form.get("AnnounceMethod", "POST")).upper()
        if unknown := set(form) - {"AnnounceUrl", "AnnounceMethod"}:
            raise Refusal(400, 20001, f"the sandbox does not know {', '.join(sorted(unknown))}")
        if conference.over.is_set() or not conference.started:
            raise Refusal(404, 20404, f"The requested resource {request.path} was not found")
        parts = urlsplit(str(url))
        if url is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refusal(400, 21205, f"AnnounceUrl is not a valid URL: {url}")
        if method not in ("GET", "POST"):
            raise Refusal(400, 20001, f"{method!r} is no method of an announcement")
        announcement = Announcement(self._account, conference, Fetch(str(url), method))
        conference.legs[0].background(announcement.run())
        return 200, self._resource(conference)

    def _conference(self, request: web.Request) -> Conference:
        conference = self._account.conferences.by_sid.get(request.match_info["sid"])
        if conference is None:
            raise Refusal(404, 20404, f"The requested resource {request.path} was not found")
        return conference

    def _resource(self, conference: Conference) -> dict[str, object]:
        uri = f"{self._account.path}/Conferences/{conference.sid}"
        status = "completed" if conference.over.is_set() else "in-progress" if conference.started else "init"
        return {
            "sid": conference.sid,
            "account_sid": self._account.sid,
            "friendly_name": conference.name,
            "status": status,
            "region": "us1",
            "api_version": "2010-04-01",
            "reason_conference_ended": None,
            "call_sid_ending_conference": None,
            "date_created": format_datetime(conference.created_at),
            "date_updated": format_datetime(datetime.now(UTC)),
            "uri": f"{uri}.json",
            "subresource_uris": {name: f"{uri}/{name.title()}.json" for name in ("participants", "recordings")},
        }
