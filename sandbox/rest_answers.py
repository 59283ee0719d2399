"""The shapes of what REST answers: a page of a list, an error."""

from collections.abc import Sequence


class Refusal(Exception):
    """An answer that is an error of Twilio's.

    Attributes:
        status: The HTTP status.
        code: Twilio's code.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        """Say why; see the class."""
        super().__init__(message)
        self.status = status
        self.code = code


def page(name: str, path: str, items: Sequence[object]) -> dict[str, object]:
    """A list that fits on one page (Twilio: REST API, paging).

    Args:
        name: What the items are called.
        path: The list's own.
        items: All of them.
    """
    return {
        name: items,
        "page": 0,
        "page_size": max(len(items), 50),
        "start": 0,
        "end": max(len(items) - 1, 0),
        "uri": path,
        "first_page_uri": path,
        "next_page_uri": None,
        "previous_page_uri": None,
    }
