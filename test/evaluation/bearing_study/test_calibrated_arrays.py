"""Arrays calibrated from other drives: the drives used, the errors before and after."""

from __future__ import annotations

from dataclasses import replace

from helpers.driving_sound import small_rig
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearing_study import calibrated_arrays
from avdet_ros.evaluation.bearing_study.calibrated_arrays import (
    calibrate_arrays,
    calibration_seeds,
    calibration_setting,
    lead_error_s,
)
from avdet_ros.simulation.conditions import Condition, TrueArray


def nominal_array(rig):
    return TrueArray(rig.microphones_m, 0.0, np.zeros(8), np.zeros(8), np.ones(8, bool))


def test_calibration_seeds_are_unique_per_vehicle_and_in_a_reserved_range():
    drives = [calibration_seeds(vehicle, 5) for vehicle in range(250_000, 250_400)]
    assert {len(seeds) for seeds in drives} == {5}
    every = np.concatenate(drives)
    assert len(np.unique(every)) == len(every)
    assert every.min() >= 260_000
    assert every.max() < 300_000


def test_calibration_setting_fixes_vehicle_and_temperature():
    condition = Condition('furnished', 'neglected', vehicle=250_000, vehicles=6)
    one, other = (calibration_setting(condition, vehicle) for vehicle in (250_001, 250_002))
    assert one.condition.temperature_c != other.condition.temperature_c
    assert (one.condition.vehicle, one.condition.vehicles) == (250_001, 1)


def test_lead_errors_match_hand_calculation(rig):
    array = nominal_array(rig)
    assert lead_error_s(rig, array) == 0
    # An equal delay of all channels changes no direction.
    assert lead_error_s(replace(rig, delay_s=np.full(8, 1e-3)), array) < 1e-12
    # Two opposite channels are late by 80 us: errors of 60 us, and of -20 us in the six others.
    late = replace(rig, delay_s=80e-6 * np.isin(np.arange(8), (3, 7)))
    by_hand_s = np.sqrt((2 * 60**2 + 6 * 20**2) / 8) * 1e-6
    assert lead_error_s(late, array) == pytest.approx(by_hand_s)
    # A dead channel does not count.
    alive = ~np.isin(np.arange(8), (3, 7))
    assert lead_error_s(late, replace(array, alive=alive)) < 1e-12
    # A microphone moved sideways by 7 mm is early from the left, late from the right.
    moved = rig.microphones_m.copy()
    moved[0, 1] += 0.007
    sines = np.sin(np.radians(np.arange(-56, 57, 4.0)))
    lead_us = 0.007 / 343 * 1e6 * np.sqrt((sines**2).mean())
    expected_us = lead_us * np.sqrt((7 / 8) ** 2 / 8 + 7 * (1 / 8) ** 2 / 8)
    assert lead_error_s(replace(rig, microphones_m=moved), array) == pytest.approx(
        1e-6 * expected_us, rel=0.02
    )
    # Warm air shortens all leads by the same factor.
    centre = rig.array_position_m
    wide = replace(rig, microphones_m=centre + 1.03 * (rig.microphones_m - centre))
    assert lead_error_s(wide, array) < 1e-12


def test_calibration_rejects_drives_without_a_shared_vehicle(rig):
    with pytest.raises(AvdetError, match='calibration: expected drives that share a vehicle'):
        calibrate_arrays(Condition('plain', 'neglected'), 5, rig, None, 0)


@pytest.mark.slow
def test_calibration_halves_the_lead_error_of_a_neglected_array(monkeypatch):
    monkeypatch.setattr(calibrated_arrays, 'SIGHTING_S', 0.5)  # a slower camera
    condition = Condition('plain', 'neglected', vehicle=250_005)
    # A low sample rate renders faster.
    (array,) = calibrate_arrays(condition, 1.2, small_rig(), None, 0).values()
    assert array.refused == ''
    assert array.after_s < 0.5 * array.before_s
