"""How a block ends that ROS ends, and what a node holds only while it is active."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException

from avdet_ros.nodes.held import held
from avdet_ros.nodes.shutdown import until_ros_ends

pytestmark = pytest.mark.ros


@pytest.mark.parametrize('end', [KeyboardInterrupt, ExternalShutdownException])
def test_a_signal_is_no_error(end):
    with until_ros_ends():
        raise end


@pytest.mark.usefixtures('ros')
def test_an_error_is_one_only_while_ros_is_there():
    with pytest.raises(ValueError, match='broken'), until_ros_ends():
        raise ValueError('broken')
    rclpy.shutdown()
    with until_ros_ends():
        raise ValueError('of a call under which the context has ended')


def test_what_is_held_is_given_and_what_is_not_is_named():
    assert held(0) == 0
    with pytest.raises(RuntimeError, match=r'^expected a node that is active$'):
        held(None)
