"""Frames with one sounding and one silent box, and the direction maps of a rig."""

from __future__ import annotations

from helpers.plane_waves import column_px, plane_wave
import numpy as np
import pytest
import torch

from avdet_ros.evaluation.sounding.directions import box_sides_deg
from avdet_ros.training.sounding.box_set import MOST, BoxSet, motion_of_boxes, sight_of_boxes
from avdet_ros.training.sounding.sound_sums import DirectionMaps, sound_sums


@pytest.fixture(scope='session')
def direction_maps(rig):
    return DirectionMaps(rig)


@pytest.fixture(scope='session')
def some_frames(rig):
    """Factory of drives, a frame every 2 s: two boxes 25 to 38 degrees apart, one sounding."""

    def make(drives: int, frames: int = 8, seed: int = 0) -> BoxSet:
        rng = np.random.default_rng(seed)
        many = drives * frames
        valid = torch.zeros(many, MOST, dtype=torch.bool)
        sounds = torch.full((many, MOST), torch.nan)
        row = torch.full((many, MOST), -1)
        boxes, features, order = [], [], []
        for number in range(many):
            loud = rng.uniform(-38, 38)
            quiet = loud + rng.uniform(25, 38) * (-1 if loud > 0 else 1)
            pair = [(loud, 1.0), (quiet, 0.0)]
            for slot, which in enumerate(rng.permutation(2)):
                azimuth, label = pair[which]
                x, half = column_px(rig, azimuth), rng.uniform(20, 60)
                boxes.append([x - half, 320, x + half, 320 + half])
                valid[number, slot], sounds[number, slot] = True, label
                row[number, slot] = len(order)
                order.append((number, slot))
            wave = plane_wave(rig, loud, rng.uniform(-60, -30))
            features.append(wave + rng.normal(0, 0.1, wave.shape))
        boxes = np.array(boxes, np.float32)
        frame = np.repeat(np.arange(many), 2)
        drive, time_s = np.arange(many) // frames, np.arange(many) * 2.0
        sides = box_sides_deg(boxes, rig)
        moves = motion_of_boxes(time_s, drive, frame, boxes, sides.mean(axis=1))

        def padded(values):
            out = torch.zeros(many, MOST, values.shape[1])
            for place, at in enumerate(order):
                out[at] = torch.from_numpy(values[place]).float()
            return out

        return BoxSet(
            sums=sound_sums(features),
            sides_deg=padded(sides),
            valid=valid,
            sight=padded(sight_of_boxes(boxes, rig)),
            motion=padded(moves),
            warmth=torch.zeros(many, MOST, 1),
            drive=torch.from_numpy(drive),
            time_s=torch.from_numpy(time_s),
            sounds=sounds,
            row=row,
        )

    return make
