"""Deliberately wrong sound: which frame it comes from and how it is changed."""

from __future__ import annotations

import numpy as np

from avdet_ros.dataset.layout import make_id
from avdet_ros.evaluation.sounding import controls
from avdet_ros.training.data.mirror import find_mirror

FRAMES = tuple(
    make_id(f'drive_day_{drive}', 1_900_000_000_000_000_000 + index * 1_000_000_000)
    for drive, many in ((1, 12), (2, 6))
    for index in range(many)
)


def test_other_moment_is_from_the_same_drive_and_far_away_if_possible():
    swapped = controls.other_moment(FRAMES)
    assert sorted(swapped.tolist()) == list(range(18))
    assert all(FRAMES[a].drive == FRAMES[b].drive for a, b in enumerate(swapped))
    assert controls.far_apart(FRAMES, swapped).tolist() == [True] * 12 + [False] * 6


def test_other_drive_takes_sound_from_a_different_drive():
    swapped = controls.other_drive(FRAMES)
    assert all(FRAMES[a].drive != FRAMES[b].drive for a, b in enumerate(swapped))
    assert controls.far_apart(FRAMES, swapped).all()
    assert controls.other_drive(FRAMES[:3]).tolist() == [0, 1, 2]


def test_mirroring_twice_restores_features(rig):
    mirror = find_mirror(rig)
    features = np.random.default_rng(0).normal(size=(2, 32, 4, 5)).astype(np.float32)
    once = controls.mirrored(features, mirror.channels, mirror.signs)
    assert not np.allclose(once, features)
    np.testing.assert_allclose(controls.mirrored(once, mirror.channels, mirror.signs), features)
    boxes = np.array([[100.0, 5, 300, 9]])
    assert controls.mirrored_boxes(boxes, 1920).tolist() == [[1620, 5, 1820, 9]]


def test_removing_coherences_keeps_levels():
    features = np.ones((2, 32, 4, 5), np.float16)
    changed = controls.without_coherences(features)
    assert (changed[:, :8] == 1).all()
    assert (changed[:, 8:] == 0).all()
    assert (features == 1).all()
