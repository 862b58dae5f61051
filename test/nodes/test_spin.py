"""Nodes in one process: each one is spun, and a failing one ends them all."""

from __future__ import annotations

import threading

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException

from avdet_ros.nodes.spin import Spinner

pytestmark = pytest.mark.ros


def test_slow_node_blocks_no_other_and_a_failing_one_ends_all(ros, wait):
    nodes = [rclpy.create_node(f'node_{number}') for number in range(3)]
    beats, holding, release = [], threading.Event(), threading.Event()

    def hold():
        holding.set()
        release.wait(20)

    def fail():
        release.wait(20)
        raise ArithmeticError('of node 2')

    nodes[0].create_timer(0.01, lambda: beats.append(0))
    nodes[1].create_timer(0.01, hold)
    nodes[2].create_timer(0.01, fail)
    spinner = Spinner(nodes)
    ended = []

    def spin():
        try:
            spinner.spin()
        except ExternalShutdownException:
            ended.append('ROS')

    main = threading.Thread(target=spin, daemon=True)
    main.start()
    assert holding.wait(20)
    count = len(beats)
    wait(lambda: len(beats) > count + 3, 'the first node to go on')
    assert spinner.failure is None
    release.set()
    main.join(20)
    assert not main.is_alive()
    spinner.stop()
    assert str(spinner.failure) == 'of node 2'
    assert not rclpy.ok()
