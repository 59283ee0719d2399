"""What the model says, on its way to the line: how much of it was sent, and how much of that the caller has heard."""

from dataclasses import dataclass
from typing import Any

from loguru import logger

from pipelines.codecs import Codec
from pipelines.legs import Earpiece

HEARD_TOLERANCE_MS = 20
"""An item of which at most this much is missing was heard to its end: filters and chunks round."""


@dataclass(slots=True)
class Spoken:
    """The audio of one item of the conversation, as it was sent to the caller."""

    item_id: str
    content_index: int
    start_ms: float
    """Where it begins on the line."""

    duration_ms: float = 0.0


class Mouth:
    """Plays a Realtime session's speech. Its methods take the session's events as they arrive."""

    def __init__(self, codec: Codec, *, timing: bool) -> None:
        """Say nothing yet.

        Args:
            codec: From the model's sound to the line's.
            timing: Whether it is logged how much of what was interrupted the caller has heard.
        """
        self.earpiece: Earpiece | None = None
        """Where it is heard; None as long as there is no line."""

        self._codec = codec
        self._timing = timing
        self._items: list[Spoken] = []
        """What may not have been heard to its end, in order."""

        self._responding = ""
        self._cut_off = ""
        """The response that the caller interrupted: what still comes of it is not played."""

    def plays(self, event: dict[str, Any]) -> bool:
        """Whether a piece of speech, or its words, is for the line: nothing more is of a response that was cut off."""
        return event["response_id"] != self._cut_off and self.earpiece is not None

    def speak(self, event: dict[str, Any]) -> bool:
        """Play a piece of speech.

        Args:
            event: `response.output_audio.delta`.

        Returns:
            Whether it is the first of its item, and is played.
        """
        if not self.plays(event) or self.earpiece is None:
            return False
        payload, duration_ms = self._codec.to_line(event["delta"])
        self._responding = event["response_id"]
        last = self._items[-1] if self._items else None
        item = (event["item_id"], event["content_index"])
        begins = last is None or item != (last.item_id, last.content_index)
        if last is None or begins:
            heard_ms = self.earpiece.heard_ms
            self._items = [s for s in self._items if s.start_ms + s.duration_ms > heard_ms]
            last = Spoken(*item, start_ms=self.earpiece.sent_ms)
            self._items.append(last)
        last.duration_ms += duration_ms
        if payload:
            self.earpiece.play(payload)
        return begins

    def words(self, event: dict[str, Any]) -> None:
        """The words of what is being said.

        Args:
            event: `response.output_audio_transcript.delta`.
        """
        if self.plays(event) and self.earpiece is not None:
            self._responding = event["response_id"]
            self.earpiece.words(event["delta"])

    def has_spoken(self, response_id: str) -> None:
        """A response is complete."""
        tail = self._codec.end()
        if self.earpiece is not None and response_id != self._cut_off:
            if tail:
                self.earpiece.play(tail)
            self.earpiece.finish()

    def fall_silent(self) -> None:
        """The session is over: what was sent of it is all that there is."""
        if self.earpiece is not None:
            self.earpiece.finish()
        self._items.clear()

    def interrupt(self) -> list[dict[str, Any]]:
        """Stop the line, since the caller speaks.

        Returns:
            For each item that was not heard to its end, the event that tells the model how much was.
        """
        if self.earpiece is None:
            return []
        heard_ms = self.earpiece.heard_ms
        self.earpiece.clear()
        self._codec.end()
        self._cut_off = self._responding
        items, self._items = self._items, []
        truncations: list[dict[str, Any]] = []
        for item in items:
            end_ms = int(max(0.0, min(heard_ms - item.start_ms, item.duration_ms)))
            if item.duration_ms - end_ms <= HEARD_TOLERANCE_MS:
                continue
            if self._timing:
                logger.info("barge-in: {} of {:.0f} ms heard of {}", end_ms, item.duration_ms, item.item_id)
            truncations.append(
                {
                    "type": "conversation.item.truncate",
                    "item_id": item.item_id,
                    "content_index": item.content_index,
                    "audio_end_ms": end_ms,
                }
            )
        return truncations
