"""The table of device latency, measured with the real PortAudio."""

import numpy as np
import pytest

from avdet_ros.bench.device_latency import COLUMNS, device_markdown, device_table, measure_device
from avdet_ros.bench.virtual_device import missing_programs


@pytest.mark.skipif(bool(missing_programs()), reason='pulseaudio is not installed here')
@pytest.mark.slow
def test_lower_requested_latency_gives_shorter_blocks(rig):
    sound = np.random.default_rng(2).normal(0, 1000, (44100, 8)).astype(np.int16)
    short, long = measure_device(sound, rig, 2.0, (0.01, 0.08))
    assert (short.asked_ms, long.asked_ms) == (10, 80)
    assert short.got_ms < long.got_ms
    assert short.block_ms < 0.5 * long.block_ms
    for result in (short, long):
        assert 0 < result.p50 <= result.p99
        assert result.cpu_percent > 0
    assert device_table([short, long]).row_count == 2
    first, _, *rows = device_markdown([short, long]).splitlines()
    assert first.count('|') == rows[0].count('|') == len(COLUMNS) + 1
