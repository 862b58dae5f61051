"""Cameras shared by the picture tests."""

from __future__ import annotations

from helpers.lone_vehicle import CLEAR, lone_scene
import pytest

from avdet_ros.simulation.pictures import Cameras


@pytest.fixture(scope='module')
def lone() -> Cameras:
    return Cameras(lone_scene(), CLEAR)
