"""Drawn loops can be used like recordings, and no two of them are alike."""

from __future__ import annotations

from itertools import pairwise

import drawn_loops
import numpy as np
import pytest

from avdet_ros.simulation.recordings import load_recordings

RATE_HZ = 16000


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('drawn') / 'loops'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn_loops, 'ENGINES', 6)
        patch.setattr(drawn_loops, 'TYRES', 5)
        drawn_loops.main(folder)
    return folder


def test_drawn_loops_load_as_recordings(folder):
    loops = load_recordings(folder, RATE_HZ)
    assert len(loops.engines) == 6
    assert len(loops.tyres) == 5
    for loop in (*loops.engines, *loops.tyres):
        assert np.isfinite(loop.table).all()
        assert 25 <= 3.6 * loop.speed_mps < 90


def test_every_loop_has_a_different_spectrum(folder):
    loops = load_recordings(folder, RATE_HZ)
    for role in (loops.engines, loops.tyres):
        for one, other in pairwise(_octaves_db(loop) for loop in role):
            apart_db = one - other
            assert np.abs(apart_db - apart_db.mean()).max() > 3


def test_another_seed_draws_other_loops(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(drawn_loops, 'ENGINES', 6)
    monkeypatch.setattr(drawn_loops, 'TYRES', 5)
    drawn_loops.main(tmp_path / 'others', 1)
    ours = {path.read_bytes() for path in folder.iterdir()}
    assert not ours & {path.read_bytes() for path in (tmp_path / 'others').iterdir()}


def test_same_seed_draws_the_same_loops(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(drawn_loops, 'ENGINES', 6)
    monkeypatch.setattr(drawn_loops, 'TYRES', 5)
    drawn_loops.main(tmp_path / 'again')
    paths = sorted(folder.iterdir())
    assert [path.name for path in paths] == sorted(p.name for p in (tmp_path / 'again').iterdir())
    for path in paths:
        assert path.read_bytes() == (tmp_path / 'again' / path.name).read_bytes()


def _octaves_db(loop) -> np.ndarray:
    """Return (6,) levels of a loop in octaves from 63 Hz upwards."""
    power = np.abs(np.fft.rfft(loop.table[:-1])) ** 2
    frequency_hz = np.arange(len(power)) / loop.duration_s
    edges_hz = 63 * 2.0 ** (np.arange(7) - 0.5)
    parts = [
        power[(frequency_hz >= low) & (frequency_hz < high)].sum()
        for low, high in pairwise(edges_hz)
    ]
    return 10 * np.log10(np.array(parts) + 1e-12)
