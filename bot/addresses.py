"""Our own addresses as Twilio sees them, and how it is to ask there. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

OVERRIDES = "#ct=1000&rt=5000&tt=14000&rc=3&rp=5xx,ct,rt"
"""How Twilio shall ask us (Twilio: Webhooks, connection overrides): one second to connect, five to answer, and three
more tries where that failed or something between us answered with 5xx; together less than its own 15 seconds. Not 4xx:
those are our own words, and the same again."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Our own addresses as Twilio sees them, all built from `PUBLIC_URL`."""

    public_url: str
    """Scheme and host, without a trailing slash, e.g. `https://bot.example.com`."""

    state: str = ""
    """What the callbacks of one document carry of their call; see `bot.carried`."""

    lean: bool = False
    """Without that, and without overrides: for a document with many of them."""

    @property
    def media(self) -> str:
        """The media WebSocket: `wss` for https, `ws` for http. No query: Twilio would remove it."""
        return re.sub(r"^http", "ws", self.public_url) + "/twilio/media"

    def callback(self, name: str, attempt: int, **more: int) -> str:
        """The webhook for one fact about an attempt. Twilio signs the whole URL, so what it carries can be trusted."""
        return self._url(f"handoff/{name}", attempt=attempt, **more)

    def person(self, name: str, attempt: int, call_sid: str) -> str:
        """The webhook for one fact about a person who is called for a caller: the call is not the caller's own."""
        return self._url(f"person/{name}", attempt=attempt, call=call_sid)

    def outbound(self, name: str, order: str) -> str:
        """The webhook for one fact about a call of ours, by the order that it came of."""
        return self._url(f"outbound/{name}", order=order)

    def callback_of(self, name: str, callback: str, n: int) -> str:
        """The webhook for one fact about a call to a person of ours who is to call somebody back."""
        return self._url(f"callback/{name}", callback=callback, n=n)

    def waiting(self, name: str, attempt: int) -> str:
        """The webhook for one fact about a caller who waits in a queue."""
        return self._url(f"waiting/{name}", attempt=attempt)

    def music(self, seconds: int) -> str:
        """What they hear: so many seconds of our own music."""
        return f"{self.public_url}/twilio/waiting/music.wav?seconds={seconds}"

    def taker(self, name: str, target: str, who: str) -> str:
        """The webhook for one fact about a person who takes callers from the queue of a target."""
        return self._url(f"taker/{name}", target=target, who=who)

    def recorded(self, *, failsafe: bool = False) -> str:
        """The webhook for a message on the recorder."""
        return self._url("voicemail", **({"failsafe": 1} if failsafe else {}))

    def recording(self, part: str, call_sid: str, **which: int) -> str:
        """The webhook for a recording that is ready. One of a conference does not say whose call it is."""
        return self._url("recording", part=part, call=call_sid, **which)

    def rescue(self, leg: int) -> str:
        """Where Twilio asks what to do with a caller whose stream is gone."""
        return self._url("rescue", leg=leg)

    def _url(self, path: str, **query: int | str) -> str:
        carried = {"state": self.state} if self.state and not self.lean else {}
        asked = urlencode({**query, **carried})
        return f"{self.public_url}/twilio/{path}{'?' if asked else ''}{asked}{'' if self.lean else OVERRIDES}"
