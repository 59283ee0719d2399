"""Stand-ins with a script, for tests of one part: Twilio's REST and the pipeline as a session sees them."""

import asyncio
from dataclasses import dataclass, field

from bot.telephony import NewCall, NewText, TelephonyError


@dataclass
class ScriptedTelephony:
    """`bot.telephony.Telephony`: answers each order with the next of its answers, and remembers the order."""

    answers: list[TelephonyError | None] = field(default_factory=list)
    """One per order, None for a success. When they run out, everything succeeds."""

    statuses: list[str] = field(default_factory=list)
    orders: list[tuple[str, str]] = field(default_factory=list)
    """`("redirect", twiml)`, `("hang up", "")` and `("call", to)`."""

    calls: list[NewCall] = field(default_factory=list)

    given: asyncio.Event = field(default_factory=asyncio.Event)

    async def redirect(self, call_sid: str, twiml: str) -> None:
        self._give("redirect", twiml)

    async def hang_up(self, call_sid: str) -> None:
        self._give("hang up", "")

    async def call(self, order: NewCall) -> str:
        self._give("call", order.to)
        self.calls.append(order)
        return f"CA{len(self.calls):032x}"

    async def text(self, order: NewText) -> None:
        self._give("text", order.to)

    async def announce(self, conference_sid: str, url: str) -> None:
        self._give("announce", url)

    async def status(self, call_sid: str) -> str:
        return self.statuses.pop(0) if self.statuses else "in-progress"

    async def close(self) -> None:
        pass

    def _give(self, order: str, text: str) -> None:
        self.orders.append((order, text))
        self.given.set()
        if self.answers and (error := self.answers.pop(0)) is not None:
            raise error


@dataclass
class Orders:
    """`bot.talk.Conversation`: remembers what it was told."""

    told: list[str] = field(default_factory=list)

    def say_goodbye(self, handoff: int) -> None:
        self.told.append(f"goodbye {handoff}")

    def say_farewell(self, farewell: int, *, prompted: bool) -> None:
        self.told.append(f"farewell {farewell}{' prompted' if prompted else ''}")

    def advise(self, text: str) -> None:
        self.told.append(f"advice: {text}")

    def listen_again(self, advice: str) -> None:
        self.told.append("listen")

    def tell(self, text: str) -> None:
        self.told.append("note")

    def renew_model(self, renewal: int) -> None:
        self.told.append(f"renew {renewal}")

    def change_model(self, model: int, renewal: int) -> None:
        self.told.append(f"model {model}")

    def adjust(self, change: str) -> None:
        self.told.append(f"change {change}")

    def relay(self, audio: bytes) -> None:
        self.told.append(f"audio: {len(audio)}")

    def give_way(self) -> None:
        self.told.append("give way")

    def close(self) -> None:
        self.told.append("close")
