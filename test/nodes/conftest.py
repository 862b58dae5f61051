"""Running nodes, and the network that they run."""

from __future__ import annotations

from helpers.models import small_network
from helpers.running_nodes import ros, start, wait_fixture, watcher
import pytest

__all__ = ['ros', 'start', 'wait_fixture', 'watcher']


@pytest.fixture
def make_network(rig):
    return lambda front_end: small_network(rig, front_end)
