"""The window grid of a bag matches the live windows, whenever recording started."""

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.audio.window import WindowBuffer
from avdet_ros.bags.window_grid import LOOKED_AT, find_grid, usual_hop_s

RATE, GRID = 1600, 18
SILENCE = np.zeros((12_000, 8), np.int16)


def starts_of(ring, first_sample):
    return [window.start_sample for window in ring.push(SILENCE[first_sample:], first_sample)]


@given(
    late=st.integers(0, 3000),
    hop_s=st.sampled_from([0.1, 0.05, 0.033, 1 / 30, 0.025]),
    missed=st.integers(0, 6),
    lost=st.sets(st.integers(1, 60), max_size=20),
    seed=st.integers(0, 5),
)
@settings(max_examples=examples(30), deadline=None)
def test_grid_of_a_late_recording_matches_the_live_windows(late, hop_s, missed, lost, seed):
    """Some windows are lost, the first ones are missing, and stamps are off by a sample."""
    live = starts_of(WindowBuffer(8, RATE, 0.25, hop_s, GRID), 0)
    recorded = [start - late for start in live if start >= late]
    seen = [start for i, start in enumerate(recorded) if i >= missed and i - missed not in lost]
    seen = np.array(seen[:LOOKED_AT])
    jitter = np.random.default_rng(seed).integers(-1, 2, len(seen))
    grid = find_grid(seen + jitter, hop_s * RATE, GRID)
    assert grid.grid_samples == GRID
    ring = WindowBuffer(8, RATE, 0.25, hop_s, GRID, grid.phase)
    found = starts_of(ring, grid.first_sample)
    expected = recorded[live[0] >= late :]  # the first window of a drive ends late
    assert found[: len(expected)] == expected


def test_grid_of_single_samples_keeps_the_window_starts():
    live = starts_of(WindowBuffer(8, RATE, 0.5, 0.1005), 0)
    grid = find_grid([start - 1000 for start in live[10:50]], 0.1005 * RATE, GRID)
    assert grid.grid_samples == 1
    assert grid.first_sample == (live[10] - 1000) % 161


@pytest.mark.parametrize('hop_s', [0.1, 0.05, 0.033, 1 / 30, 0.02, 0.5])
def test_usual_hop_matches_the_configured_hop(hop_s):
    starts = np.arange(200) * hop_s * 44100
    stamps_ns = np.round(np.floor(starts / 256) * 256 * 1e9 / 44100)
    assert usual_hop_s(stamps_ns[:64], 256 / 44100) == pytest.approx(hop_s, rel=1e-9)
    kept = np.delete(stamps_ns, [5, 6, 7, 30, 41, 80])
    assert usual_hop_s(kept, 256 / 44100) == pytest.approx(hop_s, rel=1e-9)


@pytest.mark.parametrize('hop_s', [0.1, 0.05])
def test_usual_hop_is_found_from_the_first_window_on(hop_s):
    """The first window ends late: by almost two grid points over 44 windows 0.1 s apart."""
    buffer = WindowBuffer(1, 44100, 1.0, hop_s, 256)
    ends = [window.end_sample for window in buffer.push(np.zeros((44100 * 8, 1), np.int16), 0)]
    stamps_ns = np.round(np.array(ends) * 1e9 / 44100)
    for count in range(24, len(ends)):
        assert usual_hop_s(stamps_ns[:count], 256 / 44100) == pytest.approx(hop_s, rel=1e-9), count


def test_too_few_windows_give_no_hop():
    assert usual_hop_s([10**9, 2 * 10**9], 0.006) is None
    assert usual_hop_s([10**9, 10**9, 10**9], 0.006) is None
