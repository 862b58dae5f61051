"""Boxes of drives on disk in the form that the selector uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.dataset import layout
from avdet_ros.dataset.features import cache_sound
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding.boxes import true_boxes
from avdet_ros.training.sounding.box_set import (
    MOST,
    box_set,
    motion_of_boxes,
    sight_of_boxes,
    warmth_of_boxes,
)


def test_box_motion_is_estimated_from_neighbouring_frames():
    stamp_s, drive = np.array([0.0, 0.5, 1.0, 10.0]), np.zeros(4, int)
    # One box moves by 2 degrees per second, one is static; the last frame is too late.
    frame = np.array([0, 0, 1, 1, 2, 2, 3])
    azimuth = np.array([10.0, -20, 11, -20, 12, -20, 12])
    boxes = np.zeros((7, 4))
    boxes[:, 3] = [50, 30, 50, 30, 50, 30, 50]
    rates = motion_of_boxes(stamp_s, drive, frame, boxes, azimuth)
    assert rates[:6, 0] == pytest.approx([2, 0, 2, 0, 2, 0])
    assert rates[:6, 1] == pytest.approx([2, -2, 2, -2, 2, -2])
    assert rates[6].tolist() == [0, 0, 0]
    nearer = boxes.copy()
    nearer[2, 3] = 50 * np.exp(0.1)
    assert motion_of_boxes(stamp_s, drive, frame, nearer, azimuth)[0, 2] == pytest.approx(0.2)
    elsewhere = motion_of_boxes(stamp_s, np.arange(4), frame, boxes, azimuth)
    assert (elsewhere == 0).all()


def test_sight_features_hold_box_position_and_size(rig):
    (seen,) = sight_of_boxes(np.array([[860.0, 300, 1060, 400]]), rig)
    assert seen == pytest.approx([0, 400 / 650, np.log(100 / 650), 2])


@pytest.fixture(scope='module')
def two_drives(drives, tmp_path_factory, rig):
    """The shared drives with features of some training frames, in a separate folder."""
    root = tmp_path_factory.mktemp('set')
    for path in drives.iterdir():
        if path.name != 'features':
            (root / path.name).symlink_to(path)
    members = by_drive(read_split(root, 0.0).train[:12])
    cache_sound(root, members, 'window', rig)
    return root, members


def test_box_set_pads_the_boxes_of_each_frame(two_drives, rig):
    root, drives = two_drives
    boxes = true_boxes(root, drives)
    made = box_set(root, boxes.frames, boxes.frame, boxes.boxes_px, rig, boxes.sounds)
    assert len(made) == 12
    assert made.sums.shape == (12, 32, 80)
    assert made.valid.sum(dim=1).tolist() == [1] * 12
    assert (made.sounds[made.valid] == 1).all()
    assert made.drive.tolist() == [0] * 8 + [1] * 4
    values = torch.arange(12 * MOST).reshape(12, MOST)
    assert made.flat(values, 12).tolist() == (MOST * np.arange(12)).tolist()
    # The bright block is 170 of 255 levels, ten counts each, above its surroundings.
    assert made.warmth[made.valid].mean() == pytest.approx(1700 / 80, rel=0.05)
    unknown = box_set(root, boxes.frames, boxes.frame, boxes.boxes_px, rig, thermal=False)
    assert unknown.sounds.isnan().all()
    assert (unknown.warmth == 0).all()


def test_boxes_beyond_the_limit_get_the_lowest_score(two_drives, rig):
    root, drives = two_drives
    frames = true_boxes(root, drives).frames
    many = MOST + 3
    boxes = np.tile(np.float32([900, 300, 960, 340]), (many, 1))
    made = box_set(root, frames, np.full(many, 2), boxes, rig, thermal=False)
    scores = made.flat(torch.arange(12 * MOST).reshape(12, MOST), many)
    assert scores.tolist() == [*range(2 * MOST, 3 * MOST), *[2 * MOST] * 3]


def test_missing_sound_and_thermal_pictures_are_reported(two_drives, rig, tmp_path):
    root, drives = two_drives
    frames = true_boxes(root, drives).frames
    box = np.float32([[900, 300, 960, 340]])
    later = layout.make_id(frames[0].drive, frames[0].stamp_ns + 1)
    with pytest.raises(AvdetError, match='expected the sound of frame'):
        box_set(root, [later], np.zeros(1, int), box, rig, thermal=False)
    with pytest.raises(
        AvdetError, match=r'expected thermal pictures .* --no-thermal leaves them out'
    ):
        warmth_of_boxes(tmp_path, frames[:1], np.zeros(1, int), box)
