"""A simulated drive as a source: the same sound as rendered in one piece, in real time."""

from __future__ import annotations

import time

import numpy as np
import pytest
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.rig import load_rig
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.sources.base import SourceLost
from avdet_ros.sources.make import make_source

RATE_HZ = 44100


@pytest.fixture
def written(tmp_path):
    """Make a source that reads a stored drive whose sample values encode their numbers."""

    def make(seconds, **how):
        folder = tmp_path / f'drive_{seconds:g}'
        folder.mkdir(exist_ok=True)
        numbers = np.arange(round(seconds * RATE_HZ)) % 30_000
        sound = np.stack([numbers + channel for channel in range(8)], axis=1)
        soundfile.write(folder / layout.DRIVE_SOUND, sound.astype(np.int16), RATE_HZ)
        return make_source('simulation', load_rig(), drive=str(folder), **how)

    return make


def first_block(source):
    while (block := source.read(5.0)) is None:
        pass
    return block


def numbers(block):
    return np.round(block.samples[:, 0] * 32768)


def test_blocks_equal_the_rendered_drive():
    rig = load_rig()
    source = make_source('simulation', rig, seed=300_001, duration_s=1.1, paced=False)
    source.start()
    pieces = []
    while not source.exhausted:
        block = source.read(5.0, 1000)
        if block is not None:
            assert len(block.samples) <= 1000
            assert block.first_sample == sum(map(len, pieces))
            pieces.append(block.samples)
    source.stop()
    expected = render_sound(random_scene(300_001, rig, 1.1), 0.0, 1.1)
    assert np.array_equal(np.concatenate(pieces).T, expected)


def test_paced_drive_plays_in_real_time_and_restarts(written):
    source = written(0.5)
    for _ in range(2):
        source.start()
        block = first_block(source)
        began_s = block.time_s
        # A block of this length is not due yet, even if the machine stalls for a moment.
        assert source.read(0.0, RATE_HZ) is None
        assert (block.first_sample, block.samples.shape[1]) == (0, 8)
        count = 0
        while not source.exhausted:
            if block is not None:
                assert (block.first_sample, block.lost) == (count, 0)
                assert block.time_s == pytest.approx(began_s + count / RATE_HZ, abs=1e-9)
                np.testing.assert_array_equal(
                    numbers(block), count + np.arange(len(block.samples))
                )
                count += len(block.samples)
                assert time.monotonic() > began_s + count / RATE_HZ - 1e-3
            block = source.read(0.5)
        assert count == RATE_HZ // 2
        assert (source.damage, source.lost_samples) == ('', 0)
        assert source.read(0.0) is None
    source.stop()
    assert source.read(0.0) is None


def test_slow_drive_reports_how_far_it_is_behind(written):
    source = written(2.0)
    source.start()
    try:
        block = first_block(source)
        slept_s = time.monotonic() - block.time_s
        time.sleep(0.4)  # like a renderer that is too slow
        late = source.read(5)
        now_s = time.monotonic() - block.time_s
        played_s = (late.first_sample + len(late.samples)) / RATE_HZ
        assert slept_s + 0.4 - played_s - 1e-3 < source.behind_s < now_s - played_s + 1e-3
        while source.read(5).time_s < time.monotonic() - 0.02:
            pass
        last = source.read(5)
        assert last.time_s + len(last.samples) / RATE_HZ <= time.monotonic() + 1e-3
        assert source.behind_s < 0.2
    finally:
        source.stop()


def test_killed_renderer_ends_the_drive_with_a_message(written):
    source = written(8.0, paced=False)  # longer than what is read ahead
    source.start()
    count = len(first_block(source).samples)
    source._process.kill()
    while not source.exhausted:
        if (block := source.read(5.0)) is not None:
            assert block.first_sample == count
            count += len(block.samples)
    assert 0 < count < 8 * RATE_HZ
    assert source.damage == (
        f'{source.label} ended after {count / RATE_HZ:.1f} s: the renderer failed: its process '
        'ended with status -9'
    )
    source.stop()


@pytest.mark.slow
def test_failing_renderer_is_reported(monkeypatch):
    source = make_source('simulation', load_rig(), seed=300_003, duration_s=5.0)
    source.scene = None  # nothing to render
    source.start()
    with pytest.raises(SourceLost, match='simulation 300003: the renderer failed'):
        source.read(10.0)
    source.stop()
