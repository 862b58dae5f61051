"""Output and time that the supervisor grants its nodes at the end."""

from __future__ import annotations

from dataclasses import replace
import time

import pytest

from avdet_ros.graph import make_graph
from avdet_ros.supervisor import RECORDER_PATIENCE_S, Supervisor, shutdown_timeouts


@pytest.mark.ros
def test_last_line_of_the_recorder_is_shown(tmp_path):
    (tmp_path / 'bag').mkdir()  # stays unchanged
    graph = make_graph({'record': str(tmp_path / 'bag')})
    recorder = next(node for node in graph.nodes if node.name == 'recorder')
    lines = []
    supervisor = Supervisor(replace(graph, nodes=(recorder,)), lambda _, line: lines.append(line))
    try:
        supervisor.start()
        until = time.monotonic() + 60
        while not any(line.endswith('active') for line in lines):
            assert time.monotonic() < until, lines
            time.sleep(0.05)
    finally:
        supervisor.stop()
    assert f'0.0 s, 0.0 MB, 0 messages in {tmp_path / "bag_2"}' in lines[-1]
    assert any(f'{tmp_path / "bag"} is there already' in line for line in lines)


def test_launch_and_supervisor_wait_equally_long_for_the_recorder():
    from avdet_ros.nodes.main import _TIDY_S

    assert shutdown_timeouts('capture') == {}
    assert (
        float(shutdown_timeouts('recorder')['sigterm_timeout'])
        == RECORDER_PATIENCE_S
        > _TIDY_S['recorder']
    )
