from __future__ import annotations

import pytest
from taught_memory import PAST, Memory, in_order
import torch

from avdet_ros.simulation.array_windows import WindowPlan
from avdet_ros.training.any_array.bearing_first import VALUES, BearingFirst, BearingShape

SHAPE = BearingShape(width=3, deep=8)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return BearingFirst(SHAPE).eval()


@pytest.fixture
def columns():
    return torch.randn(2, PAST + 1, SHAPE.deep, SHAPE.front)


def test_untrained_memory_returns_the_output_of_the_network(network, columns):
    memory = Memory(network).eval()
    said = memory(columns, keep_state=True)
    assert said.shape == (2, PAST + 1, VALUES, SHAPE.front)
    torch.testing.assert_close(said[:, 2], network.column_values(columns[:, 2]))


def test_memory_uses_the_past_if_enabled_and_never_the_future(network, columns):
    memory = Memory(network).eval()
    torch.nn.init.normal_(memory.out.weight)
    other = columns.clone()
    other[:, 1] += 1
    for remembers in (True, False):
        apart = (memory(columns, remembers) - memory(other, remembers)).abs().amax(dim=(0, 2, 3))
        assert apart[0] == 0
        assert apart[1] > 0
        assert (apart[2:] > 0).all() == remembers
        assert (apart[2:] == 0).all() != remembers


def test_only_the_memory_unit_and_the_last_layers_are_trained(network, columns):
    memory = Memory(network).train()
    memory(columns, keep_state=True).sum().backward()
    taught = {name for name, part in memory.named_parameters() if part.grad is not None}
    assert {name.split('.')[0] for name in taught} == {'gates', 'new', 'out', 'last'}
    assert {name.split('.')[1] for name in taught if name.startswith('last')} == {
        'presence',
        'box',
    }
    assert not memory.last.presence[1].training


def test_in_order_sorts_the_rows_of_each_array_by_time():
    plan = WindowPlan(windows_a_drive=2, arrays_a_window=3)
    # The windows of a drive are consecutive, each with its arrays.
    assert in_order(plan, 12).tolist() == [[0, 3], [1, 4], [2, 5], [6, 9], [7, 10], [8, 11]]
