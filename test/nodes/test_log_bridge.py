"""What rooms below the nodes log is logged by the node."""

from __future__ import annotations

from collections import deque
import logging

import pytest

from avdet_ros.nodes.log_bridge import LogBridge


@pytest.fixture(autouse=True)
def no_other_handlers(monkeypatch):
    """As in a node's process: commands that ran in this one leave their own."""
    monkeypatch.setattr(logging.getLogger('avdet_ros'), 'handlers', [])


class Lines:
    """A node as far as the bridge knows it, that keeps what its logger gets."""

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


def test_levels_and_words_are_kept_and_the_bridge_ends(capfd):
    node = Lines()
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


def test_of_several_nodes_each_logs_what_its_rooms_do():
    capture, detector = Lines('capture'), Lines('detector')
    bridge = LogBridge(capture, detector)
    try:
        for name in ('detection.session', 'tracking', 'audio.array_watch', 'parameters'):
            logging.getLogger(f'avdet_ros.{name}').warning(name)
        logging.getLogger('avdet_ros').warning('root')
    finally:
        bridge.close()
    assert [line for _, line in detector.lines] == ['detection.session']
    others = ['tracking', 'audio.array_watch', 'parameters', 'root']  # the tracker is elsewhere
    assert [line for _, line in capture.lines] == others
    assert list(detector.logged) == ['detection.session']
