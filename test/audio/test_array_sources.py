"""Leads, shape, dead channels, sectors and yaw of an array against known sources."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from avdet_ros.audio.array_sources import ArrayGuess, Sources
from avdet_ros.audio.array_yaw import Sightings, array_yaw, box_sightings
from avdet_ros.audio.calibration_checks import check_shape, living_channels, source_sectors
from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.audio.wave_fronts import WaveFronts
from avdet_ros.errors import AvdetError


@pytest.fixture
def array():
    places = np.random.default_rng(4).uniform(-0.4, 0.4, (8, 3)) * [1, 0.7, 0.1]
    return ArrayGuess(places, np.linspace(-1e-4, 2e-4, 8), np.arange(8) != 5, 1.5)


def test_leads_match_individually_calculated_distances(array):
    sources = Sources(np.array([0.5, -2.0]), np.log([6.0, 40.0]), np.array([0.0, 20.0]))
    leads = array.leads_s(sources)
    for row, (azimuth, away, speed) in enumerate([(0.5, 6.0, 0.0), (-2.0, 40.0, 20.0)]):
        source = np.array([away * np.cos(azimuth), away * np.sin(azimuth), -1.5])
        centre = np.sqrt(away**2 + 1.5**2)
        crossing = SPEED_OF_SOUND_MPS + speed * away * np.cos(azimuth) / centre
        for channel in range(8):
            nearer = centre - np.sqrt(((source - array.positions_m[channel]) ** 2).sum())
            expected = nearer / crossing - array.delay_s[channel]
            assert leads[row, channel] == pytest.approx(expected, abs=1e-12)


def test_sources_start_at_a_typical_distance_and_zero_speed():
    sources = Sources.at(np.array([0.1, 0.2]))
    assert np.exp(sources.log_distances) == pytest.approx([15, 15])
    assert sources.speeds_mps.tolist() == [0, 0]


def test_aperture_ignores_dead_channels(array):
    far = array.positions_m.copy()
    far[5] = 9.0
    apart = np.linalg.norm(array.positions_m[:, None] - array.positions_m[None], axis=-1)
    live = np.delete(np.delete(apart, 5, 0), 5, 1)
    assert replace(array, positions_m=far).aperture_m == pytest.approx(live.max(), rel=0.05)


def test_check_shape_finds_linear_arrays_and_rejects_tiny_ones(array):
    along = np.array([0.6, 0.8, 0.0])
    line = np.linspace(-0.3, 0.3, 8)[:, None] * along
    across = check_shape(replace(array, positions_m=line))
    assert abs(across @ along[:2]) < 1e-6
    assert np.linalg.norm(across) == pytest.approx(1)
    assert check_shape(array) is None
    with pytest.raises(AvdetError, match=r'found all within \d\.\d cm'):
        check_shape(replace(array, positions_m=line * 0.07))


def fronts_of(vectors, weights, power_db):
    count = len(vectors)
    return WaveFronts(
        time_s=np.arange(count) * 0.2,
        frequencies_hz=np.array([500.0, 700.0]),
        vectors=vectors,
        weights=weights,
        level_db=np.zeros((count, 8)),
        power_db=power_db,
        seconds=60.0,
    )


def test_channel_with_weak_wave_fronts_or_low_power_is_dead():
    rng = np.random.default_rng(0)
    vectors = np.exp(2j * np.pi * rng.uniform(size=(50, 2, 8))) / np.sqrt(8)
    vectors[..., 1] *= 0.6  # 0.36 of the expected power
    vectors[..., 2] *= 0.66  # 0.44
    power_db = np.full((50, 8), -40.0)
    power_db[:, 3], power_db[:, 6] = -66, -64
    known = np.arange(8) != 7
    alive, share = living_channels(fronts_of(vectors, np.ones((50, 2)), power_db), known)
    assert alive.tolist() == [True, False, True, False, True, True, True, False]
    assert share == pytest.approx([1, 0.36, 0.4356, 1, 1, 1, 1, 1], abs=1e-3)


def test_sector_needs_eight_counted_segments():
    azimuths = np.radians([5] * 8 + [35] * 7 + [-25] * 9 + [185] * 20 + [95] * 8)
    counts = np.arange(52) < 44
    fit = SimpleNamespace(sources=SimpleNamespace(azimuths=azimuths), counts=counts)
    assert source_sectors(fit) == 3


def test_source_on_a_sector_border_counts_once():
    azimuths = np.radians([1] * 20 + [-1] * 20 + [44] * 20 + [46] * 20 + [180] * 7)
    counts = np.ones(len(azimuths), bool)
    fit = SimpleNamespace(sources=SimpleNamespace(azimuths=azimuths), counts=counts)
    assert source_sectors(fit) == 2


def test_lower_edge_of_a_box_gives_its_distance_and_azimuth(rig):
    # The camera is level and 1.55 m high: 100 px below the image centre is 15.5 m away.
    boxes = [[860, 250, 1060, 400], [1060, 250, 1260, 400], [900, 290, 1000, 301]]
    seen = box_sightings(rig, [1.0, 2.0, 3.0], boxes, [4, 5, 6])
    place = rig.camera.position_m + [15.5, 0, 0] - rig.array_position_m
    assert seen.distances_m[0] == pytest.approx(np.hypot(*place[:2]))
    assert seen.azimuths[0] == pytest.approx(0)
    aside = place[:2] + [0, -15.5 * 0.2]
    assert seen.azimuths[1] == pytest.approx(np.arctan2(aside[1], aside[0]))
    assert seen.distances_m[1] == pytest.approx(np.hypot(*aside))
    assert seen.distances_m[2] == pytest.approx(80, abs=0.5)
    assert (seen.time_s.tolist(), seen.ids.tolist()) == ([1, 2, 3], [4, 5, 6])


def drive(yaw_deg, vehicles=6, seed=0):
    """Vehicles seen by a camera ten times a second and heard by a rotated array."""
    rng = np.random.default_rng(seed)
    time_s, azimuths, ids = [], [], []
    for vehicle in range(vehicles):
        t = 20 * vehicle + np.arange(40) * 0.1
        time_s.append(t)
        azimuths.append(np.radians(30 - 1.2 * np.arange(40) + 3 * vehicle))
        ids.append(np.full(40, vehicle + 10))
    seen = Sightings(
        np.concatenate(time_s),
        np.concatenate(azimuths),
        np.full(40 * vehicles, 12.0),
        np.concatenate(ids),
    )
    turned = seen.azimuths + np.radians(yaw_deg) + rng.normal(0, np.radians(0.2), len(seen.ids))
    return seen, seen.time_s + 0.01, turned


@pytest.mark.parametrize('yaw_deg', [-6.0, 0.5, 4.0])
def test_yaw_is_the_azimuth_difference_of_array_and_camera(yaw_deg):
    seen, time_s, azimuths = drive(yaw_deg)
    fit = np.full(len(time_s), 0.8)
    yaw, spread, vehicles = array_yaw(time_s, azimuths, fit, seen)
    assert np.degrees(yaw) == pytest.approx(yaw_deg, abs=0.3)
    assert 0 < np.degrees(spread) < 0.2
    assert vehicles == 6


def test_yaw_is_nan_for_few_or_far_vehicles_bad_fits_or_other_times():
    seen, time_s, azimuths = drive(4.0)
    fit = np.full(len(time_s), 0.8)
    few = Sightings(seen.time_s[:120], seen.azimuths[:120], seen.distances_m[:120], seen.ids[:120])
    assert np.isnan(array_yaw(time_s, azimuths, fit, few)[0])
    assert array_yaw(time_s, azimuths, fit, few)[2] == 3
    assert np.isnan(array_yaw(time_s, azimuths, fit * 0.6, seen)[0])
    assert np.isnan(array_yaw(time_s + 7, azimuths, fit, seen)[0])
    # At 12 degrees a second, sound from 60 m away lags by two degrees.
    far = replace(seen, distances_m=np.full(len(time_s), 60.0))
    assert np.isnan(array_yaw(time_s, azimuths, fit, far)[0])
