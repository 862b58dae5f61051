"""Frames that cannot be used: they are logged and counted, and too many stop the run."""

from __future__ import annotations

import logging

from avdet_ros.errors import AvdetError

_logger = logging.getLogger(__name__)

LIMIT = 0.05
"""Largest fraction of unusable frames; if there are more, something else must be wrong."""

NAMED = 5
"""Number of frames that are logged individually."""


class Skipped:
    """Counts frames that are left out.

    Args:
        purpose: purpose for which the frames are read, for messages.
        total: number of frames.
    """

    def __init__(self, purpose: str, total: int) -> None:
        self.purpose, self.total = purpose, total
        self.count = self._named = 0

    def recall(self, frames: int) -> None:
        """Count frames that an earlier run or stage has already logged and left out."""
        self.count += frames

    def add(self, error: Exception | str, frames: int = 1) -> None:
        """Leave out frames, for a reason that names them.

        Raises:
            AvdetError: there are too many.
        """
        self.count += frames
        if self._named < NAMED:
            _logger.info('skipped: %s', error)
            self._named += 1
        if self.count > max(1, LIMIT * self.total):
            raise AvdetError(
                f'{self.purpose}: expected at most {LIMIT:.0%} of {self.total} frames to be '
                f'unusable, found {self.count}, the last: {error}'
            )

    def close(self) -> None:
        """Log the number of skipped frames, if any."""
        if self.count:
            _logger.info('%s: %d of %d frames skipped', self.purpose, self.count, self.total)
