"""What every test session shares: a DDS domain of its own, and what this machine cannot run."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
import shutil
import sys

import pytest

from avdet_ros.dds_domain import free_domain

HAS_ROS = importlib.util.find_spec('rclpy') is not None

# The domain is this process's, so that two test runs on one machine (or two pytest-xdist workers)
# never hear each other; nothing leaves the machine. Both must be set before rclpy is imported.
os.environ['ROS_DOMAIN_ID'] = str(free_domain())
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
# Tests that run `avdet` or `python` as a command mean those of this interpreter.
os.environ['PATH'] = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])

if not HAS_ROS:
    collect_ignore = ['nodes']


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, the tests whose hardware or ROS is not here."""
    has_gpu = shutil.which('nvidia-smi') is not None
    for item in items:
        if item.get_closest_marker('ros') and not HAS_ROS:
            item.add_marker(pytest.mark.skip(reason='rclpy is not installed here'))
        if item.get_closest_marker('gpu') and not has_gpu:
            item.add_marker(pytest.mark.skip(reason='no CUDA device on this machine'))
