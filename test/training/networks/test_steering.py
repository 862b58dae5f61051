from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import microphones_in_array
from avdet_ros.rig import load_rig
from avdet_ros.training.networks.layers import pool_frames
from avdet_ros.training.networks.steered import SteeredResponseNet
from avdet_ros.training.networks.steering import (
    SPEED_OF_SOUND_MPS,
    image_directions,
    steering_weights,
)


def plane_wave(rig, azimuth_rad: float, seed: int = 0) -> np.ndarray:
    """Return noise of a plane wave from a direction, with exact delays, (8, 44100) float32."""
    noise = np.fft.rfft(np.random.default_rng(seed).normal(size=44100))
    towards = np.array([np.cos(azimuth_rad), np.sin(azimuth_rad), 0.0])
    ahead_s = microphones_in_array(rig) @ towards / SPEED_OF_SOUND_MPS
    phase = np.exp(2j * np.pi * np.fft.rfftfreq(44100, 1 / 44100) * ahead_s[:, None])
    return (0.05 * np.fft.irfft(noise * phase, 44100)).astype(np.float32)


def test_image_directions_run_from_left_to_right():
    rig = load_rig()
    directions = image_directions(rig, columns=48, margin_columns=4, around=8)
    azimuth = np.degrees(np.arctan2(directions[:, 1], directions[:, 0]))
    assert directions.shape == (64, 2)
    in_view = azimuth[12:60]
    assert np.all(np.diff(in_view) < 0)
    # 960 px at a focal length of 1000 px are 43.8 degrees, minus half a column and parallax.
    assert in_view[0] == pytest.approx(43, abs=1)
    assert in_view[0] == pytest.approx(-in_view[-1], abs=1e-9)
    behind = np.mod(azimuth[:8], 360)
    assert np.all(np.diff(behind) > 0)
    assert behind[0] > azimuth[8]
    assert behind[-1] < 360 + azimuth[-1]


@pytest.mark.parametrize('degrees', [-40, -11, 0, 7, 33])
def test_steered_response_is_largest_in_the_sound_direction(degrees):
    rig, front_end = load_rig(), FrontEnd()
    directions = image_directions(rig, 48, 4, 8)
    student = SteeredResponseNet(rig, front_end)
    features = torch.from_numpy(front_end.compute(plane_wave(rig, np.radians(degrees))))[None]
    response = student.response(pool_frames(features))[0]
    assert response.shape == (80, 64, 44)
    loudest = int(response.mean(dim=(0, 2)).argmax())
    nearest = int(
        np.argmax(directions @ [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    )
    assert loudest == nearest


def test_steered_response_to_plane_wave_is_near_one_in_its_direction():
    rig, front_end = load_rig(), FrontEnd()
    weights = steering_weights(front_end, microphones_in_array(rig), np.array([[1.0, 0.0]]))
    features = front_end.compute(plane_wave(rig, 0.0))
    response = np.einsum('bac,cbt->bat', weights, features[8:])[:, 0].mean(axis=1)
    assert weights.shape == (80, 1, 24)
    # Up to 2 kHz the phase hardly changes within a band; above, the average over it shrinks.
    assert np.all(response[:30] > 0.95)
    assert np.all(response[30:] > 0.3)
    assert np.all(response < 1.001)


def test_directions_of_a_turned_array_are_in_the_array_frame():
    import dataclasses

    rig = load_rig()
    turned = dataclasses.replace(rig, array_yaw_deg=90.0)
    plain, other = (image_directions(each, 8, 1, 2) for each in (rig, turned))
    np.testing.assert_allclose(other, np.stack([plain[:, 1], -plain[:, 0]], axis=1), atol=1e-12)
