"""Helpers of the tests are modules beside them; and which files begin first."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from postgres import cluster, postgresql, spool, url  # noqa: F401 - fixtures, found once the path is set
from serving import http, stage  # noqa: F401 - as above

LONG = (
    "test_callback",
    "test_behind_a_proxy",
    "test_chaos",
    "test_queue_on_the_line",
    "test_stories_by_requests",
    "test_evals",
    "test_transcripts",
    "test_stories",
    "test_media_path",
    "test_server",
    "test_fallback",
    "test_recording",
)
"""Files that take minutes. Each is one worker's, so they begin first and nobody waits for them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first."""
    order = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))
