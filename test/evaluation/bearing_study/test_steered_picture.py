"""The steered response follows a passing car, best with the true geometry of the array."""

from __future__ import annotations

from dataclasses import replace

import cv2
from helpers.lone_vehicle import lone_scene
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.steering import azimuth_grid, steering
from avdet_ros.evaluation.bearing_study.steered_picture import (
    COLUMNS,
    FRONT_DEG,
    passing_car,
    steered_picture,
    steered_response,
    true_azimuths,
)
from avdet_ros.simulation.conditions import true_array, true_rig
from avdet_ros.simulation.sound import SoundRenderer


def test_true_azimuths_match_hand_calculation():
    """A car comes along the next lane, seen by a camera turned 10 degrees to the left."""
    scene = lone_scene(ahead_m=30.0, speed=-10.0)
    turn = Rotation.from_euler('z', 10, degrees=True).as_matrix()
    camera = scene.rig.camera
    rig = replace(scene.rig, camera=replace(camera, rotation=camera.rotation @ turn.T))
    times_s, azimuth_deg, ids = true_azimuths(replace(scene, rig=rig, duration_s=1.0))
    assert times_s == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert ids.tolist() == [1] * 5
    x, y, _ = scene.rig.array_position_m
    aside = scene.vehicles[0].pose(0.0)[0][1] - scene.ego.pose(0.0)[0][1]
    expected = np.degrees(np.arctan2(aside - y, 30 - 10 * times_s - x)) - 10
    np.testing.assert_allclose(azimuth_deg, expected, atol=0.05)


def test_response_is_averaged_over_tenths_of_a_second():
    """A window has 173 frames; 172 are used, 17.2 in a tenth of a second, in pieces of 17."""
    scene = replace(lone_scene(ahead_m=12.0, speed=0.0), duration_s=1.9)
    times_s, response = steered_response(scene, scene.rig)
    assert times_s == pytest.approx([0.05 + 0.1 * index for index in range(len(times_s))])
    assert response.shape == (COLUMNS, len(times_s))
    assert len(times_s) == int(172 * 256 / 4410)
    front_end = FrontEnd.of(scene.rig)
    sound = SoundRenderer(scene).read(0, 44100).astype(np.float32)
    coherence = front_end.compute(sound)[8:]
    # Bands between 500 Hz and 5 kHz by the mel scale of the front end's own filters.
    peaks_hz = np.fft.rfftfreq(front_end.n_fft, 1 / 44100)[front_end.mel_filters.argmax(axis=1)]
    bands = np.flatnonzero((peaks_hz >= 500) & (peaks_hz <= 5000))
    weights = steering(scene.rig, front_end, azimuth_grid(COLUMNS, FRONT_DEG, 0))[bands]
    for piece, first in ((0, 0), (3, 51)):
        window = coherence[:, bands, first : first + 17].mean(axis=2)
        by_hand = np.einsum('bac,cb->a', weights, window) / len(bands)
        np.testing.assert_allclose(response[:, piece], by_hand, atol=1e-5)


@pytest.fixture(scope='module')
def passing(rig):
    return passing_car(rig)


@pytest.mark.slow
def test_response_follows_the_car_and_is_stronger_with_true_geometry(passing, rig):
    columns_deg = FRONT_DEG - (np.arange(COLUMNS) + 0.5) * 2 * FRONT_DEG / COLUMNS
    true_s, true_deg, ids = true_azimuths(passing)
    crossing = ids == 7
    off, strength = {}, {}
    for name, its in (('file', rig), ('true', true_rig(rig, true_array(passing)))):
        times_s, response = steered_response(passing, its)
        assert response.shape == (COLUMNS, len(times_s))
        # Nine windows of 172 frames each.
        assert len(times_s) == int(9 * 172 * 256 / 4410)
        found_deg = columns_deg[response.argmax(axis=0)]
        at = [int(np.argmin(np.abs(times_s - t))) for t in true_s[crossing]]
        off[name] = np.median(np.abs(found_deg[at] - true_deg[crossing]))
        strength[name] = response.max(axis=0)[at].mean()
    assert off['true'] < 2
    assert strength['true'] > strength['file'] + 0.02


@pytest.mark.slow
def test_picture_has_one_panel_per_rig(passing, rig):
    one = steered_picture(passing, {'as the rig file says': rig})
    two = steered_picture(passing, {'one': rig, 'other': rig})
    sizes = [
        cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape for png in (one, two)
    ]
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] > 1.5 * sizes[0][1]
    assert len(two) < 400_000
