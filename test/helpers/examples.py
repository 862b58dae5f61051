"""Number of examples that hypothesis draws: all in `make test`, fewer in `make test-fast`."""

from __future__ import annotations

import os

QUICK = os.environ.get('AVDET_TEST_QUICK') == '1'


def examples(count: int) -> int:
    """Return a sixth of the examples in a quick run, but at least ten."""
    return max(10, count // 6) if QUICK else count
