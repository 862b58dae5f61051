from __future__ import annotations

from dataclasses import replace

from helpers.array_models import scattered_rig, wave_from
import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.detection.steering import azimuth_grid, steering
from avdet_ros.training.any_array.bearing_first import (
    BEAMS,
    VALUES,
    BearingFirst,
    BearingShape,
    live_microphones,
    live_pairs,
    mean_level,
)

SMALL = BearingShape(width=12, deep=24)


def inputs(rig, azimuth_deg: float, dead: tuple[int, ...] = (), pair_count: int = 12):
    """Return the network inputs (level, coherences, steering) for noise from one direction."""
    front_end = FrontEnd(pair_count=pair_count)
    alive = np.ones(8, bool)
    alive[list(dead)] = False
    rig = replace(rig, alive=alive)
    features = front_end.calibrated(np.zeros(8), np.zeros(8), alive).compute(
        wave_from(rig, azimuth_deg)
    )
    pooled = torch.from_numpy(pool_frames(features))[None]
    weights = torch.from_numpy(steering(rig, front_end))[None]
    level_db = mean_level(pooled[:, :8], live_microphones(weights))
    return level_db, pooled[:, 8:].transpose(1, 2), weights


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('dead', [(), (3,), (0, 5)])
def test_unblurred_response_is_largest_at_the_sound_direction(seed, dead):
    level_db, coherence, weights = inputs(scattered_rig(seed), 23.0, dead)
    parts, beam = BearingFirst(SMALL).unblurred(level_db, coherence, weights)
    groups = SMALL.groups
    assert parts.shape == (1, 2 * groups, 80, 22)
    assert beam.shape == (1, groups, 80)
    found = azimuth_grid()[int(parts[0, :groups].mean(dim=(0, 2)).argmax())]
    assert found == pytest.approx(23, abs=1.75)


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('dead', [(), (3,), (0, 5)])
def test_adaptive_beams_are_smallest_at_the_sound_direction(seed, dead):
    shape = replace(SMALL, **BEAMS['adaptive'])
    inside = inputs(scattered_rig(seed), 23.0, dead, pair_count=28)
    both = BearingFirst(shape).adaptive(*inside)
    assert both.shape == (1, 2 * 64, 80, 11)
    for kind in both[0].split(64):
        found = azimuth_grid()[int(kind.mean(dim=(0, 2)).argmin())]
        assert found == pytest.approx(23, abs=1.75)


@pytest.mark.parametrize('beams', BEAMS)
def test_columns_do_not_depend_on_the_batch_size(beams):
    torch.manual_seed(0)
    network = BearingFirst(replace(SMALL, **BEAMS[beams])).eval()
    level_db, coherence, weights = inputs(scattered_rig(0), -10.0, pair_count=28)
    predicted = network(level_db, coherence, weights)
    assert predicted.shape == (1, VALUES, 64)
    assert predicted.isfinite().all()
    twice = network(
        level_db.repeat(2, 1, 1), coherence.repeat(2, 1, 1, 1), weights.repeat(2, 1, 1, 1)
    )
    torch.testing.assert_close(twice[1], predicted[0], atol=1e-4, rtol=1e-3)


def test_turning_array_and_wave_shifts_the_columns():
    """Array and wave turned together give the same values in other columns, far from the edges."""
    torch.manual_seed(0)
    network = BearingFirst(replace(SMALL, around=0)).eval()
    rig, front_end = scattered_rig(1), FrontEnd()
    features = torch.from_numpy(pool_frames(front_end.compute(wave_from(rig, 0.0))))[None]
    predicted = []
    for turn_deg in (0.0, 10 * 1.75):
        grid = azimuth_grid()[:64] - turn_deg
        weights = torch.from_numpy(steering(rig, front_end, grid))[None]
        level_db = mean_level(features[:, :8], live_microphones(weights))
        predicted.append(network(level_db, features[:, 8:].transpose(1, 2), weights)[0])
    # The context is 15 columns to each side, and three more of the strided layers.
    here, there = predicted[0][:, 24:40], predicted[1][:, 14:30]
    assert (here - there).abs().max() < 0.05 * here.abs().max()


def test_dead_microphone_is_ignored():
    network = BearingFirst(SMALL).eval()
    level_db, coherence, weights = inputs(scattered_rig(0), 5.0, (2,))
    assert live_microphones(weights).tolist() == [[1, 1, 0, 1, 1, 1, 1, 1]]
    assert live_pairs(weights).tolist() == [9]
    levels = torch.randn(1, 8, 80, 44)
    changed = levels.clone()
    changed[:, 2] = -100
    alive = live_microphones(weights)
    assert torch.equal(mean_level(levels, alive), mean_level(changed, alive))
    assert network(level_db, coherence, weights).isfinite().all()


def test_network_runs_without_deconvolution_and_with_other_width():
    network = BearingFirst(replace(SMALL, steps=0, width=24)).eval()
    level_db, coherence, weights = inputs(scattered_rig(0), 5.0)
    assert network(level_db, coherence, weights).shape == (1, VALUES, 64)
    assert not hasattr(network, 'from_parts')


def test_own_columns_start_as_copies_and_do_not_change_presence_or_offset():
    torch.manual_seed(0)
    whole = inputs(scattered_rig(1), 10.0)
    network = BearingFirst(replace(SMALL, own_columns=True)).eval()
    with torch.no_grad():
        maps = network.maps(*whole)
        assert maps.shape[1:] == network.maps_shape
        said = network.of_maps(maps)
        torch.testing.assert_close(said, network.column_values(network.columns(maps)))
        torch.testing.assert_close(said, network(*whole))
        for value in network.own.parameters():
            value.add_(0.1 * torch.randn_like(value))
        other = network(*whole)
    assert torch.equal(other[:, :2], said[:, :2])
    assert (other[:, 2:] != said[:, 2:]).all()


def test_level_scaling_comes_from_training_levels():
    network = BearingFirst(SMALL)
    network.set_levels(torch.randn(50, 80, 44) * 4 - 70)
    assert float(network.level_mean.mean()) == pytest.approx(-70, abs=0.5)
    assert float(network.level_spread) == pytest.approx(4, abs=0.2)
