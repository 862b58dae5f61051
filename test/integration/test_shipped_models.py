"""The shipped models perform as their cards state, on drives not used for training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract_check import differences, remarks
from avdet_ros.detection.model_file import front_end_for, read_model
from avdet_ros.detection.session import Detector
from avdet_ros.paths import share
from avdet_ros.rig import Rig, default_rig_path, parse_rig
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.traffic import random_scene

SEEDS = range(100_000, 100_060)
"""Validation drives."""

LOUD_DB = 0.0
"""Least level of a vehicle relative to all other sound, dB."""


def rectangle(rig: Rig) -> Rig:
    """The rig with a rectangle of microphones instead of the octagon."""
    places = [
        (0.4, 0.0),
        (0.4, 0.3),
        (0.0, 0.3),
        (-0.4, 0.3),
        (-0.4, 0.0),
        (-0.4, -0.3),
        (0.0, -0.3),
        (0.4, -0.3),
    ]
    offsets = np.array([(*place, 0.0) for place in places])
    return replace(rig, microphones_m=rig.array_position_m + offsets)


def turned(rig: Rig) -> Rig:
    """The rig with its array and camera turned to the left, and a longer focal length."""
    tree = yaml.safe_load(default_rig_path().read_text())
    tree['array']['yaw_deg'] = 90.0
    tree['camera'] |= {'yaw_deg': 12.0, 'focal_px': [1300.0, 1300.0]}
    return parse_rig(tree)


def test_octagon_model_reports_differences_from_another_rig(rig):
    contract = read_model(share('models/octagon.onnx'))[1]
    assert remarks(contract, rig) == []
    keys = {difference.key for difference in differences(contract, turned(rig), FrontEnd.of(rig))}
    assert keys == {'avdet.focal_px', 'avdet.camera_rotation', 'avdet.array_yaw_deg'}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'changed'),
    [
        ('octagon', None),
        ('octagon_int8', None),
        ('student', None),
        ('student', rectangle),
        ('student', turned),
        ('student_int8', rectangle),
    ],
)
def test_loud_vehicles_are_detected_at_their_azimuth(rig, name, changed):
    """The most likely box is usually within 3 degrees of the loudest vehicle's azimuth."""
    rig = changed(rig) if changed else rig
    path = share(f'models/{name}.onnx')
    front_end = front_end_for(rig, path)
    detector = Detector(path, rig, front_end, threads=1)
    errors_deg = []
    for seed in SEEDS:
        scene = random_scene(seed, rig, 2.0, corrupted=False)
        truth = scene.labels(1.0)
        loud = truth.level_db - truth.rest_db
        if not len(truth) or loud.max() < LOUD_DB:
            continue
        window = render_sound(scene, 0.5, 1.0)
        found = detector.detect(front_end.compute(window))
        ends = rig.camera.directions(
            [
                [box[[0, 2]].mean(), box[3]]
                for box in (truth.boxes_px[loud.argmax()], *found.boxes_px[:1])
            ]
        )
        azimuth_deg = np.degrees(np.arctan2(ends[:, 1], ends[:, 0]))
        errors_deg.append(abs(azimuth_deg[-1] - azimuth_deg[0]) if len(found) else 180.0)
    assert len(errors_deg) >= 6
    assert np.median(errors_deg) < 1.5
    assert np.mean(np.array(errors_deg) < 3.0) >= 0.7
