"""The table of self-calibration: one array with its own errors drives all stretches."""

from __future__ import annotations

import calibration_table as table
import numpy as np

from avdet_ros.rig import load_rig


def test_one_array_drives_all_stretches_with_known_lead_errors():
    rig = load_rig()
    stretches = table.scenes('neglected', 100_500, rig)
    first = stretches[0].corruption
    assert len({scene.seed for scene in stretches}) == table.STRETCHES
    for scene in stretches:
        assert scene.temperature_c == stretches[0].temperature_c
        np.testing.assert_array_equal(scene.corruption.gain_db, first.gain_db)
        np.testing.assert_array_equal(scene.microphones_m(), stretches[0].microphones_m())
    off = table.lead_errors(stretches[0], rig)
    assert off(rig.microphones_m, np.zeros(8)) > 1e-5
    scale = table.SPEED_MPS / stretches[0].speed_of_sound_mps
    centre = rig.array_position_m
    true_m = (stretches[0].microphones_m() - centre)[first.order] * scale + centre
    late_s = -first.delay_samples[first.order] / rig.sample_rate_hz
    assert off(true_m, late_s) < 1e-9
    assert off(true_m, late_s + 1e-5 * (np.arange(8) == 2)) > 1e-6
