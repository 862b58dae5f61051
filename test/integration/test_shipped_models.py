"""The model files of the package do what their cards say, on drives nobody trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.session import Detector
from avdet_ros.paths import share
from avdet_ros.rig import Rig
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.traffic import random_scene

SEEDS = range(100_000, 100_060)
"""Validation drives."""

LOUD_DB = 0.0
"""Vehicles at least as loud as all the rest."""


def rectangle(rig: Rig) -> Rig:
    """The same vehicle with a rectangle of microphones in place of the octagon."""
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'changed'), [('student', None), ('any_array', None), ('any_array', rectangle)]
)
def test_loud_vehicles_are_found_where_they_are(rig, name, changed):
    """The likeliest box lies over the loudest vehicle's azimuth, within 3 degrees."""
    rig = changed(rig) if changed else rig
    front_end = FrontEnd.of(rig)
    detector = Detector(share(f'models/{name}.onnx'), rig, front_end, threads=1)
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
