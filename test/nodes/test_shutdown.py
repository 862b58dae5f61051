"""How a block ends when ROS shuts down, and values a node holds only while active."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException

from avdet_ros.nodes.held import held
from avdet_ros.nodes.shutdown import until_ros_ends

pytestmark = pytest.mark.ros


@pytest.mark.parametrize('end', [KeyboardInterrupt, ExternalShutdownException])
def test_shutdown_signal_is_not_an_error(end):
    with until_ros_ends():
        raise end


@pytest.mark.usefixtures('ros')
def test_error_is_raised_only_while_ros_runs():
    with pytest.raises(ValueError, match='broken'), until_ros_ends():
        raise ValueError('broken')
    rclpy.shutdown()
    with until_ros_ends():
        raise ValueError('of a call under which the context has ended')


def test_held_returns_its_value_or_raises_for_none():
    assert held(0) == 0
    with pytest.raises(RuntimeError, match=r'^expected a node that is active$'):
        held(None)
