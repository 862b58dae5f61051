"""Labels of teachers on simulated cameras, by a teacher that returns the true boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.simulation.array_windows import (
    WindowPlan,
    array_of,
    draw_world,
    place_array,
)
from avdet_ros.simulation.shard_folder import use_folder
from avdet_ros.simulation.window_shards import _settings, write_array_shard
from avdet_ros.training.any_array.box_labels import ANGLES
from avdet_ros.training.data.camera_frames import canvas_for
from avdet_ros.training.run.watched_windows import watch_windows
from avdet_ros.training.teachers.base import TeacherOutput

SIZE = (128, 384)
PLAN = WindowPlan('plain', windows_a_drive=1, drives_a_shard=3, arrays_a_window=2, quick=True)
FIRST = 60


class AllSeeing:
    """A teacher that returns the given true boxes, one frame after another."""

    modality, image_size, crop, score, fingerprint = 'depth', SIZE, False, 0.5, 'all seeing'

    def __init__(self, boxes_px, camera_sizes):
        self.waiting = list(zip(boxes_px, camera_sizes, strict=True))

    def predict(self, pictures):
        boxes_px, (width, height) = self.waiting.pop(0)
        boxes = canvas_for(SIZE, width, height, crop=False).to_network(boxes_px)
        means = np.zeros((5, 2), np.float32)
        level = np.ones((4, 8), np.float32)
        scores = np.linspace(0.9, 0.6, len(boxes)).astype(np.float32)
        return [TeacherOutput(boxes, scores, [level] * 5, means, level[None])]


@pytest.fixture(scope='module')
def windows(tmp_path_factory, rig):
    """The folder of a shard of six windows of three drives, and its arrays."""
    folder = tmp_path_factory.mktemp('windows') / 'truth'
    use_folder(folder, _settings(FIRST, PLAN, rig))
    write_array_shard(folder, FIRST, PLAN, rig)
    with np.load(folder / f'windows_{FIRST:07d}.npz') as shard:
        return folder, dict(shard)


@pytest.mark.slow
def test_teacher_boxes_replace_the_true_labels(windows, rig, tmp_path):
    folder, true = windows
    first = slice(0, None, 2)  # the two arrays of a window share its picture
    there = [
        boxes[: int(count)][inside[: int(count)]]
        for boxes, count, inside in zip(
            true['boxes_px'][first], true['count'][first], true['in_image'][first], strict=True
        )
    ]
    scenes = [
        place_array(draw_world(seed, rig, PLAN), array_of(seed, rig, PLAN))
        for seed in true['seed'][first].tolist()
    ]
    sizes = [(scene.rig.camera.width_px, scene.rig.camera.height_px) for scene in scenes]
    watch_windows(folder, {'depth': AllSeeing(there, sizes)}, tmp_path / 'out', rig)
    with np.load(tmp_path / 'out' / f'windows_{FIRST:07d}.npz') as shard:
        found = dict(shard)
    assert sum(map(len, there)) > 0
    np.testing.assert_array_equal(found['features'], true['features'])
    np.testing.assert_array_equal(found['rig_microphones_m'], true['rig_microphones_m'])
    assert not {'azimuth', 'ids', 'kinds', 'end_azimuth_deg', 'microphones_m'} & set(found)
    matched = []
    for row in range(6):
        sure = (np.arange(16) < found['count'][row]) & ~found['unsure'][row]
        labels = np.flatnonzero((np.arange(16) < true['count'][row]) & true['in_image'][row])
        for place in np.flatnonzero(sure):
            apart = np.abs(true['azimuth_deg'][row, labels] - found['azimuth_deg'][row, place])
            nearest = labels[apart.argmin()]
            assert apart.min() < 0.5
            size = [found[name][row, place] for name in ANGLES[2:]]
            assert size == pytest.approx(
                [true[name][row, nearest] for name in ANGLES[2:]], rel=0.15, abs=0.15
            )
            range_m = found['range_m'][row, place]
            if np.isfinite(range_m):
                matched.append(range_m / true['range_m'][row, nearest] - 1)
    assert len(matched) >= 2
    assert np.median(np.abs(matched)) < 0.12
    # A second call does nothing; other teachers are rejected.
    watch_windows(folder, {'depth': AllSeeing([], [])}, tmp_path / 'out', rig)
    other = AllSeeing([], [])
    other.fingerprint = 'another one'
    with pytest.raises(AvdetError, match='found those of others'):
        watch_windows(folder, {'depth': other}, tmp_path / 'out', rig)


@pytest.mark.slow
def test_windows_of_another_rig_or_kind_are_rejected(windows, rig, tmp_path):
    folder, _ = windows
    other = replace(rig, sample_rate_hz=48_000)
    with pytest.raises(AvdetError, match='sample_rate_hz'):
        watch_windows(folder, {}, tmp_path / 'out', other)
    with pytest.raises(AvdetError, match='expected the manifest of a set of drawn arrays'):
        watch_windows(tmp_path, {}, tmp_path / 'out', rig)
