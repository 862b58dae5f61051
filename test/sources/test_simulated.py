"""The simulated drive as a source: the same sound as rendered at once, in time."""

import time

import numpy as np
import pytest

from avdet_ros.rig import load_rig
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.sources.base import SourceLost
from avdet_ros.sources.make import make_source


def test_blocks_are_the_rendered_drive():
    rig = load_rig()
    source = make_source('simulation', rig, seed=300_001, duration_s=1.1, paced=False)
    source.start()
    pieces = []
    while not source.exhausted:
        block = source.read(5.0)
        if block is not None:
            assert block.first_sample == sum(map(len, pieces))
            pieces.append(block.samples)
    source.stop()
    expected = render_sound(random_scene(300_001, rig, 1.1), 0.0, 1.1)
    assert np.array_equal(np.concatenate(pieces).T, expected)


@pytest.mark.slow
def test_a_paced_drive_takes_its_time_and_stops_at_once():
    source = make_source('simulation', load_rig(), seed=300_002, duration_s=30.0)
    source.start()
    while source.read(5.0) is None:
        pass
    began = time.monotonic()
    count = 0
    while count < 22050:
        block = source.read(0.5)
        if block is not None:
            count += len(block.samples)
            assert block.time_s + len(block.samples) / 44100 <= time.monotonic() + 1e-3
    assert time.monotonic() - began > 0.45
    began = time.monotonic()
    source.stop()
    assert time.monotonic() - began < 5
    assert source.read(0.0) is None


@pytest.mark.slow
def test_a_drive_that_is_not_kept_up_with_says_by_how_much():
    source = make_source('simulation', load_rig(), seed=300_004, duration_s=3.0)
    source.start()
    try:
        while (block := source.read(5)) is None:
            pass
        assert source.behind_s < 0.3
        time.sleep(0.6)  # as a renderer that is too slow would
        block = source.read(5)
        assert 0.5 < source.behind_s < 5
        assert block.first_sample / source.sample_rate_hz < 0.1
    finally:
        source.stop()


@pytest.mark.slow
def test_a_failing_renderer_is_reported(monkeypatch):
    source = make_source('simulation', load_rig(), seed=300_003, duration_s=5.0)
    source.scene = None  # nothing to render
    source.start()
    with pytest.raises(SourceLost, match='simulation 300003: the renderer failed'):
        source.read(10.0)
    source.stop()
