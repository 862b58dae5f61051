"""Arrays calibrated from other drives: which drives, how wrong they are before and after."""

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


def as_the_file_says(rig):
    return TrueArray(rig.microphones_m, 0.0, np.zeros(8), np.zeros(8), np.ones(8, bool))


def test_each_vehicle_has_drives_of_its_own_that_no_test_has():
    drives = [calibration_seeds(vehicle, 5) for vehicle in range(250_000, 250_400)]
    assert {len(seeds) for seeds in drives} == {5}
    every = np.concatenate(drives)
    assert len(np.unique(every)) == len(every)
    assert every.min() >= 260_000
    assert every.max() < 300_000


def test_the_drives_of_a_vehicle_are_of_one_day():
    condition = Condition('furnished', 'neglected', vehicle=250_000, vehicles=6)
    one, other = (calibration_setting(condition, vehicle) for vehicle in (250_001, 250_002))
    assert one.condition.temperature_c != other.condition.temperature_c
    assert (one.condition.vehicle, one.condition.vehicles) == (250_001, 1)


def test_wrong_leads_by_hand(rig):
    array = as_the_file_says(rig)
    assert lead_error_s(rig, array) == 0
    # All channels late alike change no direction.
    assert lead_error_s(replace(rig, delay_s=np.full(8, 1e-3)), array) < 1e-12
    # Two opposite channels late by 80 us: off by 60 us themselves, the six others by -20 us.
    late = replace(rig, delay_s=80e-6 * np.isin(np.arange(8), (3, 7)))
    by_hand_s = np.sqrt((2 * 60**2 + 6 * 20**2) / 8) * 1e-6
    assert lead_error_s(late, array) == pytest.approx(by_hand_s)
    # A dead one does not count.
    alive = ~np.isin(np.arange(8), (3, 7))
    assert lead_error_s(late, replace(array, alive=alive)) < 1e-12
    # Moved sideways by 7 mm it is early from the left, late from the right.
    moved = rig.microphones_m.copy()
    moved[0, 1] += 0.007
    sines = np.sin(np.radians(np.arange(-56, 57, 4.0)))
    lead_us = 0.007 / 343 * 1e6 * np.sqrt((sines**2).mean())
    expected_us = lead_us * np.sqrt((7 / 8) ** 2 / 8 + 7 * (1 / 8) ** 2 / 8)
    assert lead_error_s(replace(rig, microphones_m=moved), array) == pytest.approx(
        1e-6 * expected_us, rel=0.02
    )
    # Warm air shortens all leads alike.
    centre = rig.array_position_m
    wide = replace(rig, microphones_m=centre + 1.03 * (rig.microphones_m - centre))
    assert lead_error_s(wide, array) < 1e-12


def test_drives_that_share_no_vehicle_cannot_calibrate_one(rig):
    with pytest.raises(AvdetError, match='calibration: expected drives that share a vehicle'):
        calibrate_arrays(Condition('plain', 'neglected'), 5, rig, None, 0)


@pytest.mark.slow
def test_minutes_of_driving_mend_a_neglected_array(monkeypatch):
    monkeypatch.setattr(calibrated_arrays, 'SIGHTING_S', 0.5)  # a slower camera
    condition = Condition('plain', 'neglected', vehicle=250_005)
    # A low sample rate is rendered sooner.
    (array,) = calibrate_arrays(condition, 1.2, small_rig(), None, 0).values()
    assert array.refused == ''
    assert array.after_s < 0.5 * array.before_s
