"""A call as it goes, one line after the other, for a terminal."""

from rich.console import Console
from rich.text import Text

from sandbox.scene import Note

_COLOURS = {
    "caller": "bold cyan",
    "bot": "bold green",
    "person": "bold magenta",
    "network": "dim",
    "model": "yellow",
    "rest": "bold blue",
    "webhook": "dim",
}

_PERSON = {"bridged": "has the caller"}


class Timeline:
    """Prints the notes that a newcomer wants to see."""

    def __init__(self, console: Console) -> None:
        """Args: console: where to print."""
        self._console = console
        self._began: dict[str, float] = {}

    def __call__(self, note: Note) -> None:
        """One note has been made."""
        words = self._words(note)
        if words is None or note.call_sid is None:
            return  # of no interest, or not part of a call
        began = self._began.setdefault(note.call_sid, note.at)
        line = Text(f"{note.at - began:7.2f}  ", style="dim")
        line.append(f"{note.lane:<8}", style=_COLOURS[note.lane])
        line.append(words)
        self._console.print(line)

    def _words(self, note: Note) -> str | None:
        """What to say of a note; None to pass it over."""
        data = note.data
        match note.lane, note.what:
            case ("caller", "says") | ("person", "says"):
                return f"“{data['text']}”"
            case "model", "says":
                return f"→ “{data['text']}”"
            case "model", "calls":
                return f"calls {data['name']}({_short(data['arguments'])})"
            case "model", "truncated":
                return f"is told that {data['audio_end_ms']} of {data['of_ms']} ms were heard"
            case "model", "session opened" | "session closed" | "error":
                return note.what
            case "model", "is told":
                return f"is told: {_short(data['text'])}"
            case "caller", "presses":
                return f"presses {data['digit']}"
            case "caller", "calls" | "hangs up":
                return note.what
            case "bot", "speech started":
                return "speaks"
            case "bot", "speech stopped":
                return f"was heard to the end ({data['played_ms']} ms)"
            case "bot", "clear":
                return f"stops: {data['dropped_ms']} ms were never heard"
            case "bot", "mark echoed" if not str(data["name"]).startswith("audio:"):
                return f"mark {data['name']} {'thrown away' if data['released'] else 'heard'}"
            case "rest", what:
                return f"POST {what} → {data['status']}"
            case "person", "rings" | "busy" | "rejects" | "answers" | "bridged" | "hangs up":
                return f"…{data['number'][-4:]} {_PERSON.get(note.what, note.what)}"
            case "network", "recording" | "recorded" | "call ended" | "warning" | "error" | "dial ended":
                return " ".join([note.what, *(f"{key}={_short(value)}" for key, value in data.items() if key != "leg")])
            case _:
                return None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:99]}…"
