"""The sound power model matches published pass-by levels and obeys its own rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.simulation import cnossos


@pytest.mark.parametrize(('kmh', 'level_db'), [(30, 64.8), (50, 70.4), (80, 76.8)])
def test_light_vehicle_pass_by_level_matches_published_value(kmh, level_db):
    speed = kmh / 3.6
    power = cnossos.add_levels(
        cnossos.rolling_db('light', speed, 2015), cnossos.propulsion_db('light', speed, 2015)
    )
    level = cnossos.pressure_level_db(cnossos.a_weighted_db(power), 7.5)
    assert level == pytest.approx(level_db, abs=0.15)


def test_reference_speed_gives_table_values():
    assert cnossos.rolling_db('heavy', 70 / 3.6)[3] == pytest.approx(104.9)
    assert cnossos.propulsion_db('medium', 70 / 3.6)[0] == pytest.approx(105.5)


def test_motorcycles_have_no_rolling_noise():
    assert np.all(np.isneginf(cnossos.rolling_db('motorcycle', 20.0)))
    assert np.all(np.isfinite(cnossos.propulsion_db('motorcycle', 20.0)))


@given(st.sampled_from(cnossos.CATEGORIES[:3]), st.floats(6, 36), st.floats(0.1, 5))
def test_level_increases_with_speed(category, speed, more):
    def level(v):
        return cnossos.a_weighted_db(
            cnossos.add_levels(cnossos.rolling_db(category, v), cnossos.propulsion_db(category, v))
        )

    assert level(speed + more) > level(speed)


@given(st.floats(-50, 120), st.floats(-50, 120))
def test_level_sum_exceeds_maximum_by_at_most_3_db(a, b):
    total = cnossos.add_levels(a, b)
    assert max(a, b) <= total + 1e-9
    assert total <= max(a, b) + 3.0104


def test_propulsion_is_continuous_down_to_standstill():
    speed = np.linspace(0, 12, 1000)
    assert np.abs(np.diff(cnossos.propulsion_db('light', speed), axis=0)).max() < 0.1
