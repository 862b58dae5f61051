"""One model on the windows of a drive, given geometry, a dead microphone or speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.evaluation.bearing_study.assumptions import (
    rig_file,
    standing,
    true_geometry,
    without_microphone,
)
from avdet_ros.evaluation.bearing_study.rows import ModelRow
from avdet_ros.evaluation.bearings.of_boxes import box_azimuth_deg
from avdet_ros.evaluation.runs.windows import DriveWindows
from avdet_ros.simulation.conditions import TrueArray


def wave_at(array, azimuth_deg):
    """A second of noise from far away as recorded by an array with all its errors, int16."""
    rng = np.random.default_rng(5)
    azimuth = np.radians(azimuth_deg)
    towards = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    ahead_s = array.microphones_m @ towards / 343.0 - array.delay_s
    turns = np.fft.rfftfreq(44100, 1 / 44100) * ahead_s[:, None]
    spectrum = np.fft.rfft(rng.normal(size=44100)) * np.exp(2j * np.pi * turns)
    wave = np.fft.irfft(spectrum, 44100) * 10 ** (array.gain_db[:, None] / 20)
    return np.round(800 * wave).astype(np.int16)


def test_model_with_true_geometry_finds_the_right_direction(steered_model, rig):
    """The rig file's geometry has the errors of a neglected vehicle."""
    rng = np.random.default_rng(2)
    array = TrueArray(
        microphones_m=rig.microphones_m[[0, 1, 5, 3, 4, 2, 6, 7]] + rng.normal(0, 0.01, (8, 3)),
        yaw_deg=0.0,
        gain_db=rng.normal(0, 3, 8),
        delay_s=rng.uniform(-60e-6, 60e-6, 8),
        alive=np.ones(8, bool),
    )
    azimuths = (-31.0, 4.0, 22.0)
    drive = DriveWindows(
        seed=1,
        rig=rig,
        setting='city',
        static=True,
        sound=np.stack([wave_at(array, azimuth) for azimuth in azimuths]),
        piece=np.arange(3),
        first=np.zeros(3, int),
        end_s=np.ones(3),
        truth={},
        array=array,
    )
    errors, scores = {}, {}
    for rig_of in (rig_file, true_geometry):
        row = ModelRow(steered_model, rig, rig_of)
        found, times = row.detect(drive)
        assert len(times) == 3
        best = [its.boxes_px[:1] for its in found]
        # The centre of the box assumes a range of 15 m, seen from the array.
        heard = [box_azimuth_deg(box, rig)[0] for box in best]
        errors[rig_of] = np.abs(np.array(heard) - azimuths)
        scores[rig_of] = min(its.scores[0] for its in found)
    # A direction's column is 1.75 degrees wide. The score is 1 where all pairs agree.
    assert errors[true_geometry].max() < 0.9 < errors[rig_file].max()
    assert scores[rig_file] < 0.5 < 0.9 < scores[true_geometry]


def test_dead_microphone_is_ignored(steered_model, rig):
    """Its channel has no effect, and the other channels still give the direction."""
    row = ModelRow(steered_model, rig, without_microphone(2))
    true = TrueArray(rig.microphones_m, 0.0, np.zeros(8), np.zeros(8), np.ones(8, bool))
    sound = wave_at(true, 4.0)[None]
    noisy = sound.copy()
    noisy[:, 2] = np.random.default_rng(1).integers(-9000, 9000, sound.shape[2])
    found = []
    for heard in (sound, noisy):
        drive = DriveWindows(
            seed=1,
            rig=rig,
            setting='city',
            static=True,
            sound=heard,
            piece=np.arange(1),
            first=np.zeros(1, int),
            end_s=np.ones(1),
            truth={},
            array=true,
        )
        found.append(row.detect(drive)[0][0])
    np.testing.assert_array_equal(found[0].boxes_px, found[1].boxes_px)
    assert abs(box_azimuth_deg(found[0].boxes_px[:1], rig)[0] - 4.0) < 0.9


def score_at(passing_mps, steered_model, rig, motion_of):
    """The score of a wave from ahead that passes the array at a given speed."""
    true = TrueArray(rig.microphones_m, 0.0, np.zeros(8), np.zeros(8), np.ones(8, bool))
    azimuth = float(azimuth_grid()[31])
    scaled = replace(true, microphones_m=true.microphones_m * 343.0 / passing_mps)
    drive = DriveWindows(
        seed=1,
        rig=rig,
        setting='city',
        static=True,
        sound=wave_at(scaled, azimuth)[None],
        piece=np.arange(1),
        first=np.zeros(1, int),
        end_s=np.array([1.5]),
        truth={},
        array=true,
    )
    (found,), _ = ModelRow(steered_model, rig, rig_file, motion_of).detect(drive)
    return float(found.scores[0])


def test_speed_and_air_temperature_raise_the_score_ahead(steered_model, rig):
    def score_with(*motion):
        return score_at(373.0, steered_model, rig, lambda _: [motion])

    assert score_with(30.0, 20.0) > score_with(0.0, 20.0) + 0.02
    # For sound from ahead, air of 15 degrees and 3 m/s more have nearly the same effect.
    assert score_with(33.0, 15.0) == pytest.approx(score_with(30.0, 20.0), abs=0.01)
    assert score_at(373.0, steered_model, rig, standing) == score_with(0.0, 20.0)
