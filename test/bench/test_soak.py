"""The running graph with a clock that jumps and stops, and in a short soak test."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.bench.graph_under_test import GraphUnderTest
from avdet_ros.bench.virtual_device import missing_programs
from avdet_ros.paths import share

MODEL = share('models/student.onnx')
LACKING = ', '.join(missing_programs())
pytestmark = [
    pytest.mark.ros,
    pytest.mark.slow,
    pytest.mark.skipif(bool(LACKING), reason=f'not installed: {LACKING}'),
]


@pytest.fixture(scope='module')
def noise():
    rng = np.random.default_rng(8)
    return rng.integers(-300, 300, (44100, 8)).astype(np.int16)


def test_clock_jumps_and_pauses_are_reported(noise):
    from avdet_ros.bench.clock_faults import clock_jumps, clock_paused

    with GraphUnderTest(noise, MODEL, clock=True) as graph:
        assert 'counts 1 jump back' in clock_jumps(graph).happened
        paused = clock_paused(graph, 3.0)
        assert 'stands still' in paused.happened
        assert '0 windows sent meanwhile' in paused.happened


def test_short_soak_finds_no_resource_growth(noise):
    from avdet_ros.bench.soak import run_soak, soak_rows

    soak = run_soak(noise, MODEL, 0.2)
    assert not soak.died
    assert soak.windows > 50
    assert soak.samples_lost == 0
    assert soak.lost <= sum(soak.dropped.values()), 'windows were lost that no node counted'
    assert max(soak.stamp_error_ms) < 2
    for process in soak.processes:
        assert process.growth(process.files, 3.0) <= 2
        assert process.growth(process.threads, 3.0) <= 2
        assert process.growth(process.megabytes, 3.0) < 20
    assert dict(soak_rows(soak))['samples lost'] == '0'
