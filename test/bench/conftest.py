"""Fixtures of running nodes, where ROS is installed."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec('rclpy'):
    from helpers.running_nodes import ros, start, wait_fixture, watcher

    __all__ = ['ros', 'start', 'wait_fixture', 'watcher']
