"""Many programs choose a DDS domain at the same time, and no two get the same one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from avdet_ros import dds_domain
from avdet_ros.errors import AvdetError

CHOOSE = """
import sys
from avdet_ros.dds_domain import free_domain
print(free_domain(), free_domain(), flush=True)
sys.stdin.read()
"""


def choosers(count):
    return [
        subprocess.Popen(
            [sys.executable, '-c', CHOOSE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]


def test_concurrent_processes_never_share_a_domain():
    processes = choosers(20)
    try:
        chosen = [int(word) for process in processes for word in process.stdout.readline().split()]
        assert len(chosen) == len(set(chosen)) == 40
        assert set(chosen) <= set(dds_domain.DOMAINS)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_killed_process_releases_its_domains(monkeypatch):
    (process,) = choosers(1)
    first, second = map(int, process.stdout.readline().split())
    monkeypatch.setattr(dds_domain, 'DOMAINS', [first])
    with pytest.raises(AvdetError, match='expected a free one'):
        dds_domain.free_domain()
    process.kill()
    process.communicate()
    assert dds_domain.free_domain() == first
    dds_domain.release_domain(first)
    assert second != first


def test_domain_of_a_running_participant_is_not_chosen(monkeypatch):
    import socket

    mine = dds_domain.free_domain()
    dds_domain.release_domain(mine)
    monkeypatch.setattr(dds_domain, 'DOMAINS', [mine])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(('', 7400 + 250 * mine + 10))
        with pytest.raises(AvdetError, match='found all in use'):
            dds_domain.free_domain()
