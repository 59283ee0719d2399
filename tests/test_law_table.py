"""The table phase × event in the documentation is the law's own."""

from pathlib import Path

from calls import POLICY, call_in, samples

from bot.call import Phase
from bot.events import ImpossibleEvent
from bot.law import EVENTS, step

TABLE = Path(__file__).parent.parent / "docs" / "call-states.md"
HEAD = """# Who has the caller: every phase × every event

Made by `make docs` from `bot/law.py`; a test compares. A name is the phase that follows, `·` means that the event
changes nothing there (late, repeated, or not its business), `!` that it contradicts what is known and is refused.

"""


def table() -> str:
    """The table, as Markdown."""
    phases = list(Phase)
    lines = ["| event | " + " | ".join(phases) + " |", "| --- |" + " --- |" * len(phases)]
    for name, event in samples().items():
        cells = []
        for phase in phases:
            call = call_in(phase)
            try:
                after, effects = step(call, event, POLICY)
            except ImpossibleEvent:
                cells.append("!")
                continue
            moved = after.phase if after.phase is not phase else None
            orders = ", ".join(type(effect).__name__ for effect in effects)
            cells.append(f"**{moved}**" if moved else orders or ("noted" if after != call else "·"))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return HEAD + "\n".join(lines) + "\n"


def test_the_printed_table_is_current():
    assert TABLE.read_text() == table(), "run `make docs`"


def test_every_kind_of_event_is_in_the_table():
    assert {type(event) for event in samples().values()} == set(EVENTS)


if __name__ == "__main__":
    TABLE.write_text(table())
