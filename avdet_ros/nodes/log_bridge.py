"""The package's own log in the node's: rooms below the nodes know Python's logging only."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avdet_ros.nodes.lifecycle import AvdetNode


_NODES = {'detection': 'detector', 'tracking': 'tracker', 'drawing': 'overlay'}
"""The node that logs what these rooms do, where several are in one process."""


class LogBridge(logging.Handler):
    """Hands what the package logs to a node's logger, with the same level."""

    def __init__(self, *nodes: AvdetNode) -> None:
        """Hand over from now on; `close` ends it.

        Args:
            nodes: of this process. Their loggers get the lines, and their `logged` keeps the
                newest; what is of no node in particular goes to the first one.
        """
        super().__init__()
        self._nodes = nodes
        self._package = logging.getLogger('avdet_ros')
        self._package.addHandler(self)
        self._package.setLevel(logging.INFO)
        self._package.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Log a line."""
        line, node = record.getMessage(), self._node_of(record.name)
        node.logged.append(line)
        log = node.get_logger()
        # Each level has a line of its own: rclpy knows callers by theirs.
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
        """Hand nothing over any more."""
        self._package.removeHandler(self)
        self._package.propagate = True
        super().close()
