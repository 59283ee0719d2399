"""A session's conversation: its items, and how much audio each of them has."""

from uuid import uuid4

from sandbox.brain import Why
from sandbox.view import Json, texts
from sandbox.wire import Refused


def new_id(prefix: str) -> str:
    """An id as the service makes them."""
    return f"{prefix}_{uuid4().hex[:21]}"


class Conversation:
    """The items in order."""

    def __init__(self, items: list[Json]) -> None:
        """Keep the items in this list."""
        self.id = new_id("conv")
        self.items = items
        self.audio_ms: dict[str, float] = {}
        """By item. Milliseconds."""

    @property
    def last_id(self) -> str | None:
        """The id of the item at the end."""
        return self.items[-1]["id"] if self.items else None

    def add(self, item: Json, after: str | None = None) -> str | None:
        """Put an item at the end, or behind another.

        Args:
            item: The item, with an id.
            after: The id of the item before it, or `root` for the beginning.

        Returns:
            The id of the item before it.

        Raises:
            Refused: There is no such item before it, or one of the same id.
        """
        if any(item["id"] == other["id"] for other in self.items):
            what = f"An item with id '{item['id']}' is already in the conversation."
            raise Refused("item_id_already_exists", what, param="item.id")
        if after is None:
            position = len(self.items)
        elif after == "root":
            position = 0
        else:
            position = self.items.index(self.get(after, "item_create_invalid_previous_item_id")) + 1
        self.items.insert(position, item)
        return self.items[position - 1]["id"] if position else None

    def get(self, item_id: str, code: str) -> Json:
        """An item.

        Args:
            item_id: Its id.
            code: The error's code when there is none.

        Raises:
            Refused: There is none.
        """
        for item in self.items:
            if item["id"] == item_id:
                return item
        raise Refused(code, f"Item with item_id '{item_id}' not found.", param="item_id")

    def called(self, call_id: str) -> bool:
        """Whether a function was called with this call id."""
        return any(item["type"] == "function_call" and item.get("call_id") == call_id for item in self.items)

    def asks(self) -> tuple[Why, str]:
        """Why the model is to answer now, by the item at the end, and the text of that item where it is a message."""
        last = self.items[-1] if self.items else {}
        if last.get("type") == "function_call_output":
            return "tool_result", ""
        if last.get("role") not in ("user", "system"):
            return "prompt", ""
        if any(part["type"] == "input_audio" for part in last["content"]):
            return "speech", ""
        return "prompt", "\n".join(texts(last))

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut an assistant's message to what was heard, and drop its transcript.

        (OpenAI: Realtime client events, `conversation.item.truncate`.)

        Args:
            item_id: The message.
            content_index: Which part of it.
            audio_end_ms: How much of its audio stays. Milliseconds.

        Raises:
            Refused: There is no such audio, or not so much of it.
        """
        item = self.get(item_id, "item_truncate_invalid_item_id")
        if item.get("role") != "assistant":
            what = "Only model output audio messages can be truncated."
            raise Refused("invalid_value", what, param="item_id")
        if content_index != 0 or item_id not in self.audio_ms:
            what = f"The item has no audio at content index {content_index}."
            raise Refused("invalid_value", what, param="content_index")
        has_ms = int(self.audio_ms[item_id])
        if not 0 <= audio_end_ms <= has_ms:
            what = f"Audio content of {has_ms}ms is already shorter than {audio_end_ms}ms"
            raise Refused("invalid_value", what, param="audio_end_ms")
        self.audio_ms[item_id] = audio_end_ms
        item["content"] = [{"type": "output_audio", "transcript": None}]
