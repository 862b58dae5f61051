"""The package's own log in the node's: rooms below the nodes know Python's logging only."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avdet_ros.nodes.lifecycle import AvdetNode


class LogBridge(logging.Handler):
    """Hands what the package logs to a node's logger, with the same level."""

    def __init__(self, node: AvdetNode) -> None:
        """Hand over from now on; `close` ends it.

        Args:
            node: whose logger gets the lines, and whose `logged` keeps the newest.
        """
        super().__init__()
        self._node = node
        self._package = logging.getLogger('avdet_ros')
        self._package.addHandler(self)
        self._package.setLevel(logging.INFO)
        self._package.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Log a line."""
        line = record.getMessage()
        self._node.logged.append(line)
        log = self._node.get_logger()
        # Each level has a line of its own: rclpy knows callers by theirs.
        if record.levelno >= logging.ERROR:
            log.error(line)
        elif record.levelno >= logging.WARNING:
            log.warning(line)
        else:
            log.info(line)

    def close(self) -> None:
        """Hand nothing over any more."""
        self._package.removeHandler(self)
        self._package.propagate = True
        super().close()
