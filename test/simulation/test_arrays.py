"""Random arrays: every family gives a usable, ordered, two-dimensional and repeatable array."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.rig import load_rig
from avdet_ros.simulation.arrays import (
    CARE,
    FAMILIES,
    HELD_OUT,
    SMALLEST_SPACING_M,
    THINNEST_M,
    by_angle,
    draw_array,
    draw_errors,
    draw_positions,
    draw_rig,
    place_of,
)


@pytest.mark.parametrize('family', [*FAMILIES, *HELD_OUT])
def test_every_family_is_flat_centred_and_ordered_by_angle(family):
    rng = np.random.default_rng(5)
    for _ in range(20):
        places = draw_positions(rng, family)
        assert places.shape == (8, 3)
        np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-9)
        apart = np.linalg.norm(places[:, None, :2] - places[None, :, :2], axis=-1)
        assert apart[apart > 0].min() >= SMALLEST_SPACING_M
        assert apart.max() < 2
        narrow = np.linalg.svd(places[:, :2], compute_uv=False)[1] / np.sqrt(8)
        assert narrow >= THINNEST_M
        angle = np.unwrap(np.arctan2(places[:, 1], places[:, 0]), period=2 * np.pi)
        assert (np.diff(angle) > -1e-5).all()
        assert np.ptp(angle) < 2 * np.pi
        np.testing.assert_array_equal(by_angle(places[[3, 1, 7, 0, 5, 2, 6, 4]]), places)


def test_octagon_pairs_are_its_sides_and_diameters():
    places = draw_positions(np.random.default_rng(1), 'octagon')[:, :2]
    lengths = np.array([np.linalg.norm(places[i] - places[j]) for i, j in PAIRS])
    np.testing.assert_allclose(lengths[:8], lengths[0], rtol=1e-6)
    np.testing.assert_allclose(lengths[8:], lengths[0] / np.sin(np.pi / 8), rtol=1e-6)


def test_drawn_rig_holds_rotated_and_shifted_positions():
    rng, again = (np.random.default_rng(9) for _ in range(2))
    base = load_rig()
    rig = draw_rig(rng, base, 'roof_rack')
    places = draw_positions(again, 'roof_rack')
    back = (rig.microphones_m - rig.array_position_m)[:, :2]
    turn = np.radians(rig.array_yaw_deg)
    expected = places[:, :2] @ np.array(
        [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    )
    np.testing.assert_allclose(back, expected, atol=1e-12)
    np.testing.assert_allclose(rig.camera.rotation @ rig.camera.rotation.T, np.eye(3), atol=1e-12)
    assert rig.camera.rotation[2, 0] > np.cos(np.radians(10))


def test_error_sizes_match_level_of_care():
    drawn = {
        care: [draw_errors(np.random.default_rng(seed), 9.0, care) for seed in range(200)]
        for care in CARE
    }
    rms = {
        care: np.sqrt(np.mean([e.delay_samples**2 for e in found])) / 44100
        for care, found in drawn.items()
    }
    assert rms['ideal'] == 0
    assert 0.5e-6 < rms['kept'] < 2.3e-6
    assert 2e-6 < rms['calibrated'] < 4e-6
    missing = np.array([e.dead.sum() for found in drawn.values() for e in found])
    assert missing.max() == 2
    assert 0.1 < (missing > 0).mean() < 0.25


def test_same_seed_draws_same_array_from_requested_families():
    base = load_rig()
    first, second = (draw_array(np.random.default_rng([4, 11]), base, 9.0) for _ in range(2))
    np.testing.assert_array_equal(first.rig.microphones_m, second.rig.microphones_m)
    np.testing.assert_array_equal(first.errors.gain_db, second.errors.gain_db)
    found = {
        draw_array(np.random.default_rng(seed), base, 9.0, HELD_OUT).family for seed in range(60)
    }
    assert found == set(HELD_OUT)
    assert not set(HELD_OUT) & set(FAMILIES)


def test_arrays_drawn_beside_another_share_its_centre_and_camera():
    base = load_rig()
    first = draw_array(np.random.default_rng(1), base, 9.0)
    others = [draw_array(np.random.default_rng(n), base, 9.0, beside=first) for n in range(2, 20)]
    assert len({array.family for array in others}) > 1
    assert {place_of(array.family) for array in others} == {place_of(first.family)}
    for array in others:
        np.testing.assert_array_equal(array.rig.array_position_m, first.rig.array_position_m)
        np.testing.assert_array_equal(array.rig.camera.rotation, first.rig.camera.rotation)
        centre = array.rig.microphones_m.mean(axis=0)
        np.testing.assert_allclose(centre, first.rig.array_position_m, atol=1e-9)
