"""Forward the package's log to the nodes': rooms below the nodes only use Python's logging."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avdet_ros.nodes.lifecycle import AvdetNode


_NODES = {'detection': 'detector', 'tracking': 'tracker', 'drawing': 'overlay'}
"""The node that logs the lines of each of these rooms, if several share a process."""


class LogBridge(logging.Handler):
    """Forwards the package's log lines to a node's logger, at the same level."""

    def __init__(self, *nodes: AvdetNode) -> None:
        """Forward log lines from now on; `close` ends it.

        Args:
            nodes: nodes of this process. Their loggers receive the lines, and their `logged` keeps
                the newest; lines of no particular node go to the first one.
        """
        super().__init__()
        self._nodes = nodes
        self._package = logging.getLogger('avdet_ros')
        self._package.addHandler(self)
        self._package.setLevel(logging.INFO)
        self._package.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Forward a line."""
        line, node = record.getMessage(), self._node_of(record.name)
        node.logged.append(line)
        log = node.get_logger()
        # A line of code per level: rclpy identifies callers by their line.
        if record.levelno >= logging.ERROR:
            log.error(line)
        elif record.levelno >= logging.WARNING:
            log.warning(line)
        else:
            log.info(line)

    def _node_of(self, logger: str) -> AvdetNode:
        room = f'{logger}.'.split('.')[1]
        wanted = _NODES.get(room)
        return next((node for node in self._nodes[1:] if wanted == node.NAME), self._nodes[0])

    def close(self) -> None:
        """Stop forwarding."""
        self._package.removeHandler(self)
        self._package.propagate = True
        super().close()
