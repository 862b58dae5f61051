"""LogBridge passes the log records of the package's modules to the nodes' loggers."""

from __future__ import annotations

from collections import deque
import logging

import pytest

from avdet_ros.nodes.log_bridge import LogBridge


@pytest.fixture(autouse=True)
def no_other_handlers(monkeypatch):
    """Remove handlers that commands left in this process; a process of nodes has none."""
    monkeypatch.setattr(logging.getLogger('avdet_ros'), 'handlers', [])


class LoggingNode:
    """A fake node that records the lines which its logger receives."""

    def __init__(self, name='capture'):
        self.NAME = name
        self.logged = deque(maxlen=2)
        self.lines = []

    def get_logger(self):
        return self

    def info(self, line):
        self.lines.append(('info', line))

    def warning(self, line):
        self.lines.append(('warning', line))

    def error(self, line):
        self.lines.append(('error', line))


def test_bridge_forwards_levels_and_text_until_it_is_closed(capfd):
    node = LoggingNode()
    logger = logging.getLogger('avdet_ros.detection.session')
    bridge = LogBridge(node)
    try:
        logger.warning('%s: running on %s', 'CUDA', 'CPU')
        logger.info('made')
        logger.error('broken')
        logger.debug('not for people')
    finally:
        bridge.close()
    logger.warning('after the end')
    assert node.lines == [
        ('warning', 'CUDA: running on CPU'),
        ('info', 'made'),
        ('error', 'broken'),
    ]
    assert list(node.logged) == ['made', 'broken']
    assert 'CUDA' not in capfd.readouterr().err


def test_each_node_logs_the_records_of_its_own_modules():
    capture, detector = LoggingNode('capture'), LoggingNode('detector')
    bridge = LogBridge(capture, detector)
    try:
        for name in ('detection.session', 'tracking', 'audio.array_watch', 'parameters'):
            logging.getLogger(f'avdet_ros.{name}').warning(name)
        logging.getLogger('avdet_ros').warning('root')
    finally:
        bridge.close()
    assert [line for _, line in detector.lines] == ['detection.session']
    others = ['tracking', 'audio.array_watch', 'parameters', 'root']  # no tracker in this process
    assert [line for _, line in capture.lines] == others
    assert list(detector.logged) == ['detection.session']
