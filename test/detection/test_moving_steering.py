"""Steering for own speed and air temperature: steps, cache and invalid values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import time

from helpers.array_models import steered_response_model
import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.geometry import speed_of_sound_mps
from avdet_ros.detection.moving_steering import MOST_KEPT, USUAL_AIR_C, MovingSteering
from avdet_ros.detection.session import Detector
from avdet_ros.detection.steering import FRONT_COLUMNS, azimuth_grid, steering
from avdet_ros.errors import AvdetError

AHEAD = np.array([0.0, 20.0])


@pytest.fixture
def moving(scattered):
    return MovingSteering(scattered(0), FrontEnd(), AHEAD)


def test_standing_vehicle_in_usual_air_gets_plain_steering(moving, scattered):
    expected = steering(scattered(0), FrontEnd(), AHEAD)
    for ahead_mps in (0.0, 0.4, -0.4):
        np.testing.assert_array_equal(moving.at(ahead_mps, USUAL_AIR_C), expected)


def test_own_speed_and_speed_of_sound_are_rounded_to_1_mps(moving, scattered):
    assert speed_of_sound_mps(-5.0) == pytest.approx(331.3 * np.sqrt(1 - 5 / 273.15), abs=0.02)
    expected = steering(scattered(0), FrontEnd(), AHEAD, 28.0, 328.0)
    np.testing.assert_array_equal(moving.at(28.3, -5.0), expected)
    assert moving.at(27.6, -5.2) is moving.at(28.3, -5.0), 'computed only once'
    np.testing.assert_array_equal(
        moving.at(-2.2, 20.0), steering(scattered(0), FrontEnd(), AHEAD, -2.0)
    )


def test_prepare_computes_neighbouring_speeds_one_at_a_time(moving):
    assert [moving.prepare(10.0, 20.0) for _ in range(3)] == [True, True, False]
    made = dict(moving._steerings)
    assert {(9, 343), (11, 343)} < set(made)
    assert not moving.prepare(10.2, 20.0)
    assert moving.prepare(100.0, 20.0)
    assert not moving.prepare(100.0, 20.0), 'there is no step beyond the fastest'


def test_steering_cache_is_limited_and_shared_by_threads(moving):
    speeds = [float(speed) for speed in range(MOST_KEPT + 9)] * 2
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda speed: moving.at(speed, 20.0), speeds))
    assert len(moving._steerings) == MOST_KEPT
    for first, again in zip(found[: MOST_KEPT + 9], found[MOST_KEPT + 9 :], strict=True):
        np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ('numbers', 'words'),
    [
        ((np.nan, 20.0), 'own speed: expected at most 100 m/s, found nan'),
        ((120.0, 20.0), 'found 120'),
        ((0.0, np.nan), 'air temperature: expected -60 to 70 degrees Celsius, found nan'),
        ((0.0, 293.0), 'found 293'),
    ],
)
def test_invalid_speeds_and_air_temperatures_are_rejected(moving, numbers, words):
    with pytest.raises(AvdetError, match=words):
        moving.at(*numbers)


def test_detector_with_true_speed_and_air_scores_a_wave_higher(
    scattered, plane_wave, front_end, save
):
    """One wave as received by an array that moves at 30 m/s, and one in cold air."""
    rig = scattered(0)
    detector = Detector(
        save(steered_response_model(front_end)), rig, front_end, ['cpu'], threads=1
    )
    assert detector.steered
    azimuth_deg = float(azimuth_grid()[FRONT_COLUMNS // 3])
    passing_mps = 343.0 + 30.0 * np.cos(np.radians(azimuth_deg))
    features = front_end.compute(plane_wave(rig, azimuth_deg, 0, passing_mps))
    best = [detector.detect(features, True, speed).scores[0] for speed in (-30.0, 0.0, 30.0)]
    assert best[0] < best[1] < best[2]
    cold = front_end.compute(plane_wave(rig, azimuth_deg, 0, speed_of_sound_mps(-10.0)))
    best = [detector.detect(cold, True, 0.0, air_c).scores[0] for air_c in (30.0, 20.0, -10.0)]
    assert best[0] < best[1] < best[2]
    with pytest.raises(AvdetError, match='own speed'):
        detector.detect(features, True, 200.0)
    assert detector.prepare(30.0)


def test_model_of_one_rig_ignores_the_speed(model_path, rig, front_end):
    detector = Detector(model_path, rig, front_end, ['cpu'], threads=1)
    features = np.full(detector.contract.input_shape, -60, np.float32)
    still, fast = (detector.detect(features, False, speed) for speed in (0.0, 25.0))
    np.testing.assert_array_equal(still.boxes_px, fast.boxes_px)
    assert not detector.steered
    assert not detector.prepare(25.0)


def test_steering_for_another_speed_takes_less_than_50_ms(rig, front_end):
    moving = MovingSteering(rig, front_end, azimuth_grid())
    taken_s = []
    for speed in range(1, 6):
        start = time.thread_time()
        moving.at(float(speed), 20.0)
        taken_s.append(time.thread_time() - start)
    assert min(taken_s) < 0.05
