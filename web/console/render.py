"""Facts as HTML. Everything is escaped; what is marked as safe was made here, of parts that were escaped."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bot.call import Phase
from bot.prices import Prices
from bot.record import Record
from bot.routing import Policy, Target, resolve
from web.console import words
from web.console.access import Role
from web.console.figures import percentile

_FOLDER = Path(__file__).parent / "templates"
_LONGEST_FACT = 2000
"""Characters of one entry's facts that the journal shows; an export has them all."""


class Renderer:
    """The console's templates. Used on one thread."""

    def __init__(self, policy_of: Callable[[str], Policy], prices: Prices | None = None) -> None:
        """Make HTML.

        Args:
            policy_of: The rules for a number of ours, whose targets can be chosen.
            prices: What tokens cost, where the operator has said.
        """
        self._policy_of = policy_of
        self._prices = prices
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._environment.filters.update(
            words=words.words,
            event=words.event_words,
            duration=words.duration,
            clock=words.clock,
            stamp=words.stamp,
            day=words.date,
            iso=words.iso,
            number=_number,
            masked=words.mask_number,
            shown=_shown,
            facts=_facts,
            hours=_hours,
        )
        self._environment.globals["zone"] = words.zone()
        for template in self._environment.list_templates():
            self._environment.get_template(template)  # to compile one keeps every thread waiting: not while people talk
        self._pieces: Any = self._environment.get_template("pieces.html").module

    def page(self, template: str, **what: Any) -> str:
        """A whole page, by its template's name."""
        common = {"visitor": None, "live": None, "here": "", "open_here": False, "told": None, "form_token": ""}
        return self._environment.get_template(f"{template}.html").render(**{**common, **what})

    def piece(self, name: str, **what: Any) -> str:
        """A piece of a page, by its macro's name."""
        match name:
            case "acts":
                policy, call = self._policy_of(what["call"].called), what["call"]
                waits = call.phase is Phase.QUEUED
                what |= {
                    "targets": policy.targets,
                    "default": policy.default,
                    "possible": call.phase in (Phase.BOT, Phase.JOINED),
                    "with_bot": call.phase is Phase.BOT,
                    "takers": resolve(policy, call.attempts[-1].target).people if waits else (),
                    "take_over": policy.take_over,
                    "listen_in": policy.listen_in,
                }
            case "numbers":
                what = _measured(what["record"], self._prices)
            case _:
                pass
        return str(getattr(self._pieces, name)(**what))


def _number(number: str, role: Role) -> str:
    return number if role is Role.SUPERVISOR else ", ".join(words.mask_number(each) for each in number.split(","))


def _shown(text: str, role: Role) -> str:
    return text if role is Role.SUPERVISOR else words.mask(text)


def _facts(data: dict[str, Any], role: Role) -> str:
    shown = data if role is Role.SUPERVISOR else words.masked_data(data)
    told = ", ".join(
        f"{key.replace('_', ' ')}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in shown.items()
        if value not in ("", None)
    )
    return told if len(told) <= _LONGEST_FACT else f"{told[:_LONGEST_FACT]}…"


def _hours(target: Target, now: float) -> str:
    """Whether the people of a target are there now, and when they are again."""
    if target.hours is None:
        return "at all hours"
    if target.hours.open_at(now):
        return "open now"
    again = target.hours.next_opening(now)
    return f"closed, opens {again}" if again else "closed"


def _measured(record: Record, prices: Prices | None) -> dict[str, Any]:
    """What was measured on a call: in words, the tokens that each model used, and how long each answer took."""
    call = record.stored.call
    turns = [(float(e.data["since"]), e.data["response_ms"] / 1000) for e in record.journal if "response_ms" in e.data]
    responses = [seconds for _, seconds in turns]
    over = [entry.data for entry in record.journal if entry.event == "StreamMeasured"]
    with_people = [entry.data for entry in record.journal if entry.event == "ConsultationMeasured"]
    measured = [*over, *with_people]
    tokens = sum(int(data["tokens"]) for data in measured)
    used: dict[str, Counter[str]] = {}
    for model, counts in (pair for data in measured for pair in data.get("usage", {}).items()):
        used.setdefault(model, Counter()).update(counts)
    silences = [data["longest_silence_ms"] / 1000 for data in over]
    measures = [
        ("Bot answers in (median)", words.duration(percentile(responses, 50))),
        ("Bot answers in (slowest)", words.duration(max(responses, default=None))),
        ("Longest silence", words.duration(max(silences, default=None))),
        ("Streams to the bot", str(call.leg)),
        ("Tokens of the model", f"{tokens:,}" if over else "–"),
        *([("Cost of these tokens", _cost(prices, used))] if prices and over else []),
    ]
    return {"measures": measures, "used": used, "turns": turns}


def _cost(prices: Prices, used: Mapping[str, Mapping[str, int]]) -> str:
    """What the tokens of a call cost, in words."""
    together, unpriced = prices.cost(used)
    without = f", without {', '.join(unpriced)}: no price" if unpriced else ""
    return f"{together:.4f} {prices.currency}{without}"
