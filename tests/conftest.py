"""Helpers of the tests are modules beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from postgres import cluster, postgresql, spool, url  # noqa: F401 - fixtures, found once the path is set
