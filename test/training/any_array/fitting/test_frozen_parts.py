from __future__ import annotations

import signal

from helpers.array_windows import write_shard
import pytest
import torch

from avdet_ros.process import SignalFlag
from avdet_ros.training.any_array.bearing_first import BearingFirst, BearingShape
from avdet_ros.training.any_array.fitting.frozen_parts import frozen_parts
from avdet_ros.training.any_array.run import AnyArrayRun
from avdet_ros.training.any_array.windows.augmentation import NO_AUGMENTATION, Augmentation

SMALL = BearingShape(width=12, deep=16, steps=2)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return BearingFirst(SMALL)


@pytest.fixture
def store(tmp_path):
    write_shard(tmp_path / 'set', 0, 12)
    store = AnyArrayRun(tmp_path / 'set', tmp_path, tmp_path, shape=SMALL).store(
        tmp_path / 'set', None
    )
    store.refresh()
    return store


def test_cached_columns_reproduce_the_network_output(network, store):
    columns = frozen_parts(network, store, NO_AUGMENTATION, 0, SignalFlag())
    assert columns.shape == (12, SMALL.deep, SMALL.front)
    assert columns.dtype == torch.float16
    windows = store.batch(torch.arange(12))
    with torch.no_grad():
        whole = network(windows.level_db, windows.coherence, windows.steering)
        again = network.column_values(columns.float())
    torch.testing.assert_close(again, whole, rtol=0, atol=0.01)
    assert whole.std() > 0.1


def test_cached_maps_reproduce_the_columns(network, store):
    kept = frozen_parts(network, store, NO_AUGMENTATION, 0, SignalFlag(), maps=True)
    assert kept.shape == (12, *network.maps_shape)
    with torch.no_grad():
        columns = network.columns(kept.float())
    plain = frozen_parts(network, store, NO_AUGMENTATION, 0, SignalFlag())
    torch.testing.assert_close(columns, plain.float(), rtol=0, atol=0.01)


def test_only_use_of_speed_and_air_temperature_is_drawn(network, store):
    plain = frozen_parts(network, store, NO_AUGMENTATION, 0, SignalFlag())
    much = Augmentation(mirror=1.0, missing=1.0, masked=1.0, wind=1.0, motion=0.0, air=0.0)
    assert torch.equal(frozen_parts(network, store, much, 1, SignalFlag()), plain)
    store.part('ahead_mps').fill_(20.0)
    store.part('camera_heading_deg').fill_(0.0)
    half = Augmentation(motion=0.5, air=0.0)
    drawn = [frozen_parts(network, store, half, seed, SignalFlag()) for seed in (1, 1, 2)]
    told = [(one != plain).flatten(1).any(dim=1) for one in drawn]
    assert torch.equal(told[0], told[1])
    assert not torch.equal(told[0], told[2])
    assert 0 < told[0].sum() < 12


def test_later_windows_are_appended_to_earlier_results(network, store):
    whole = frozen_parts(network, store, NO_AUGMENTATION, 0, SignalFlag())
    first = torch.full_like(whole[:5], 7.0)
    grown = frozen_parts(network, store, NO_AUGMENTATION, 0, SignalFlag(), first)
    assert torch.equal(grown[:5], first)
    torch.testing.assert_close(grown[5:], whole[5:], rtol=0, atol=0.01)
    assert frozen_parts(network, store, NO_AUGMENTATION, 0, SignalFlag(), grown) is grown


def test_computation_stops_early_on_signal(network, store):
    with SignalFlag() as stop:
        signal.raise_signal(signal.SIGINT)
        assert len(frozen_parts(network, store, NO_AUGMENTATION, 0, stop)) == 0
