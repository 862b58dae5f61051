"""End cleanly, however ROS ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.executors import ExternalShutdownException


@contextmanager
def until_ros_ends() -> Iterator[None]:
    """Run a block that Ctrl-C or the end of ROS ends without an error."""
    try:
        yield
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():  # else a signal ended the context under a call in progress
            raise
