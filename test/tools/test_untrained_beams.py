from __future__ import annotations

from helpers.array_windows import write_shard
import pytest
import torch

from avdet_ros.training.any_array.beams.adaptive_beams import LOADS, adaptive_beams
from avdet_ros.training.any_array.bearing_first import (
    BearingFirst,
    BearingShape,
    live_microphones,
    live_pairs,
)
from avdet_ros.training.any_array.fitting.validation import scores_of


@pytest.fixture(scope='module')
def windows(tmp_path_factory):
    from averaged_runs import windows_of

    folder = tmp_path_factory.mktemp('windows')
    write_shard(folder, 0, windows=24, pair_count=28)
    return windows_of(folder, BearingShape())


def test_beams_match_the_adaptive_beams_of_the_network(windows):
    from untrained_beams import beams

    batch = windows.batch(torch.arange(4))
    steering, coherence = batch.steering[:, 20:30], batch.coherence[:, 20:30, :, :3]
    alive = live_microphones(batch.steering)
    found, _ = beams(coherence, steering, LOADS[0])
    expected = steering * live_pairs(batch.steering)[:, None, None, None]
    theirs = adaptive_beams(coherence, expected, alive)[:, :10]
    mended = found.transpose(2, 3).clamp(min=1e-3)
    torch.testing.assert_close(torch.log(mended), theirs, atol=1e-3, rtol=1e-3)


def test_every_kind_of_beam_finds_loud_waves(windows):
    from untrained_beams import maps_of, peaks_of

    with torch.no_grad():
        maps = maps_of(windows.batch(torch.arange(24)), BearingFirst(BearingShape()).eval())
    assert len(maps) == 15
    # Noise is added to the coherences, not to sound: those of single frames are not physical.
    for name, values in ((name, values) for name, values in maps.items() if '23 ms' not in name):
        scores = scores_of([peaks_of(row, BearingShape()) for row in values.numpy()], windows)
        assert scores['bearing_ap'] > 0.5, name
        assert scores['bearing_recall'] > 0.3, name
        assert scores['azimuth_error_deg'] < 1.0, name
