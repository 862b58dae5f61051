"""Mixtures of two drives: features of the summed sound, labels of vehicles still audible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.audio.features import pool_frames
from avdet_ros.errors import AvdetError
from avdet_ros.simulation.array_windows import WindowPlan, array_windows, draw_world
from avdet_ros.simulation.dense_windows import (
    NOTHING,
    Instant,
    ReceivedWindow,
    dense_windows,
    instant,
    mixed_labels,
    mixed_window,
)
from avdet_ros.simulation.quick_sound import QuickSound
from avdet_ros.simulation.scene import AUDIBLE_DB
from avdet_ros.simulation.spectral_features import spectral_features
from avdet_ros.simulation.window_shards import write_array_shard

PLAN = WindowPlan(
    'plain',
    windows_a_drive=2,
    arrays_a_window=2,
    drives_a_shard=1,
    quick=True,
    dense=True,
    pairs=12,
)
SEED = 64


@pytest.fixture(scope='module')
def rows(rig):
    return list(dense_windows(SEED, rig, PLAN.front_end(rig), PLAN))


def test_set_has_windows_of_one_drive_and_all_mixtures_with_another(rows):
    assert len(rows) == PLAN.windows_a_shard == 2 * (2 + 4)
    assert len({int(row['rendered']) for row in rows}) == 6, 'two arrays share each window'
    for row in rows:
        assert int(row['seed']) == SEED
        assert np.isnan(row['ahead_mps']) == (row['rendered'] < 0)


def test_unmixed_windows_equal_those_without_dense(rig, rows):
    alone = array_windows(SEED, rig, PLAN.front_end(rig), replace(PLAN, dense=False))
    for row, expected in zip(rows, alone, strict=False):
        assert row.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(row[name], value, err_msg=name)


def test_mixture_features_match_features_of_summed_sound(rig):
    front_end = PLAN.front_end(rig)
    sounds = np.random.default_rng(0).standard_normal((2, 8, front_end.samples))
    sounds = (sounds * [[[0.01]], [[0.02]]]).astype(np.float32)
    nothing = instant(draw_world(SEED, rig, PLAN), 1.0)
    one, other = (
        ReceivedWindow([], _spectra(front_end, sound), nothing, nothing, np.zeros(2, np.int8), {})
        for sound in sounds
    )
    found = spectral_features(mixed_window(one, other, -1).spectra[0], front_end)
    expected = pool_frames(front_end.compute(sounds.sum(axis=0)))
    np.testing.assert_allclose(found[:8], expected[:8], atol=1e-3)
    np.testing.assert_allclose(found[8:], expected[8:], atol=1e-4)


def _spectra(front_end, sound):
    spectra = front_end._spectrum(sound).transpose(2, 1, 0)
    return np.concatenate([spectra.real, spectra.imag], axis=1)[None]


def test_only_quantisation_noise_remains_without_ego_vehicle_and_wind(rig):
    front_end = PLAN.front_end(rig)
    scene = replace(draw_world(SEED, rig, PLAN), vehicles=(), distractors=(), noise=NOTHING)
    # Rounding to 16 bits has a variance of step**2 / 12; with a Hann window, half of it is real.
    deviation = 2**-15 * np.sqrt(3 / 8 * front_end.n_fft / 12 / 2)
    assert QuickSound([scene], front_end).spectra(0.0).std() == pytest.approx(deviation, rel=0.05)


def test_mixture_labels_are_audible_and_sorted_by_range(rows):
    for row in rows[4:]:
        count = int(row['count'])
        assert (row['level_db'][:count] >= AUDIBLE_DB - 1e-4).all()
        assert (np.diff(row['range_m'][:count]) >= 0).all()


def test_mixed_labels_are_sorted_by_distance_and_have_higher_rest_level(rig):
    scenes = [draw_world(seed, rig, PLAN) for seed in range(60, 80)]
    one, *others = sorted((instant(scene, 2.0) for scene in scenes), key=lambda i: -i.level_db)
    other = max(others, key=lambda i: len(i.labels))
    quiet = Instant(other.labels, -np.inf)
    both = mixed_labels(quiet, replace(one, labels=quiet.labels, level_db=-np.inf))
    # Without other sound, all vehicles of both are labelled, and no rest level rises.
    assert len(both) == 2 * len(other.labels) == len(both.truth.kinds) > 2
    assert (np.diff(both.truth.distance_m) >= 0).all()
    np.testing.assert_allclose(both.truth.rest_db[::2], other.labels.truth.rest_db, atol=1e-4)
    louder = mixed_labels(other, Instant(one.labels, other.level_db)).truth
    there = np.isin(louder.distance_m, other.labels.truth.distance_m)
    assert there.any()
    assert louder.rest_db[there].min() > other.labels.truth.rest_db.min() + 1
    masked = mixed_labels(other, Instant(one.labels, 200.0)).truth
    assert not np.isin(masked.distance_m, other.labels.truth.distance_m).any()


def test_dense_shard_is_written_with_all_windows(rig, tmp_path, rows):
    assert write_array_shard(tmp_path, SEED, PLAN, rig) == len(rows)


def test_dense_plan_requires_quick_rendering():
    with pytest.raises(AvdetError, match='dense: expected quick'):
        WindowPlan(dense=True)
