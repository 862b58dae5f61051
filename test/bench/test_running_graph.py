"""The DDS domain and environment of a running graph; other files test its nodes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from avdet_ros.bench.running_graph import own_domain

NAMES = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTRTPS_DEFAULT_PROFILES_FILE')


def test_own_domain_is_unique_and_restores_the_environment(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', '0')
    monkeypatch.delenv('ROS_AUTOMATIC_DISCOVERY_RANGE', raising=False)
    before = {name: os.environ.get(name) for name in NAMES}
    with own_domain() as first, own_domain() as second:
        assert first != second
        assert os.environ['ROS_DOMAIN_ID'] == str(second)
        assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
        program = 'import os; print(os.environ["ROS_DOMAIN_ID"])'
        child = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
        assert child.stdout.strip() == str(second)
    assert {name: os.environ.get(name) for name in NAMES} == before


def test_domain_id_is_restored_when_the_block_fails(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')

    def fail():
        with own_domain():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert os.environ['ROS_DOMAIN_ID'] == '7'
