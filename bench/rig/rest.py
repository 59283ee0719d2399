"""The little of Twilio's REST that a server may ask for here: what has become of a call.

A caller of the rig hangs up and is gone, and a server that wants to be sure asks. A call that is with a person goes on
until the rig says that it is over; every other call that is asked for is.
"""

import orjson
from aiohttp import web

CALL = "/2010-04-01/Accounts/{account}/Calls/{call}.json"


class Rest:
    """Twilio's REST, on a free port. `async with`."""

    def __init__(self) -> None:
        """Nothing listens yet."""
        self.url = ""
        """The address for `TWILIO_API_URL`."""

        self.going_on = set[str]()
        """The CallSids of calls that are with people."""

        self.asked = 0
        """How often a server asked."""

    async def __aenter__(self) -> "Rest":
        app = web.Application()
        app.router.add_route("*", CALL, self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        call = {
            "sid": request.match_info["call"],
            "account_sid": request.match_info["account"],
            "status": "in-progress" if request.match_info["call"] in self.going_on else "completed",
            "direction": "inbound",
        }
        return web.Response(body=orjson.dumps(call), content_type="application/json")
