"""Queues in REST (Twilio: Queue resource)."""

from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from sandbox.account import Account
from sandbox.queues import CallQueue
from sandbox.rest_answers import Refusal, page

LARGEST = 5000
"""Callers in a queue at most."""


class QueuesResource:
    """What REST answers about queues."""

    def __init__(self, account: Account) -> None:
        """Args: account: whose queues they are."""
        self._account = account

    async def list(self, request: web.Request) -> tuple[int, object]:
        """All queues."""
        queues = [self._resource(queue) for queue in self._account.queues.by_name.values()]
        return 200, page("queues", f"{self._account.path}/Queues.json", queues)

    async def create(self, request: web.Request) -> tuple[int, object]:
        """Make one."""
        form = await request.post()
        name = str(form.get("FriendlyName", ""))
        if not 0 < len(name) <= 64:
            raise Refusal(400, 20001, "FriendlyName has 1 to 64 characters.")
        if self._account.queues.known(name) is not None:
            raise Refusal(400, 22003, f"A queue named {name} is there already.")
        size = str(form.get("MaxSize", "1000"))
        if not size.isdecimal() or not 0 < int(size) <= LARGEST:
            raise Refusal(400, 20001, f"MaxSize is a number from 1 to {LARGEST}.")
        queue = self._account.queues.named(name)
        queue.max_size = int(size)
        return 201, self._resource(queue)

    async def fetch(self, request: web.Request) -> tuple[int, object]:
        """One of them."""
        for queue in self._account.queues.by_name.values():
            if queue.sid == request.match_info["sid"]:
                return 200, self._resource(queue)
        raise Refusal(404, 20404, f"The requested resource {request.path} was not found")

    def _resource(self, queue: CallQueue) -> dict[str, object]:
        waits = [member.seconds for member in queue.members]
        uri = f"{self._account.path}/Queues/{queue.sid}"
        return {
            "sid": queue.sid,
            "account_sid": self._account.sid,
            "friendly_name": queue.name,
            "current_size": len(waits),
            "max_size": queue.max_size,
            "average_wait_time": sum(waits) // len(waits) if waits else 0,
            "date_created": format_datetime(queue.made_at),
            "date_updated": format_datetime(datetime.now(UTC)),
            "uri": f"{uri}.json",
            "subresource_uris": {"members": f"{uri}/Members.json"},
        }
