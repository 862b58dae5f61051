"""Parameters of a running node: rejected, accepted, fixed while active, and described."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.parameter import Parameter

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param
from avdet_ros.nodes.parameter_server import ParameterServer

pytestmark = pytest.mark.ros

TABLE = (
    Param('hop_s', 0.1, 'from window to window', 0.02, 1.0, live=True),
    Param('count', 5, 'how many', 1, 9),
    Param('free', 5, 'any number'),
    Param('name', 'iou', 'which', choices=('iou', 'motion')),
)


class Server:
    """A parameter table on a separate node, active or not, that records changes."""

    def __init__(self, **given):
        self.active, self.changes = False, []
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        self.node = rclpy.create_node('table', parameter_overrides=overrides)
        self.parameters = ParameterServer(self.node, TABLE, lambda: self.active, self.changed)

    def changed(self, changes):
        if changes.get('count') == 9:
            raise AvdetError('nine is too many today')
        self.changes.append(changes)

    def set(self, *values):
        given = [Parameter(name, value=value) for name, value in values]
        done = self.node.set_parameters_atomically(given)
        return done.successful, done.reason


@pytest.fixture
def server(ros):
    made = []

    def make(**given):
        made.append(Server(**given))
        return made[-1]

    yield make
    for each in made:
        each.node.destroy_node()


def test_values_are_defaults_or_overrides_converted_to_their_type(server):
    table = server(hop_s=1, name='motion')
    assert [table.parameters[param.name] for param in TABLE] == [1.0, 5, 5, 'motion']
    assert isinstance(table.parameters['hop_s'], float)
    assert (table.parameters.faults, table.parameters.warnings) == ({}, [])
    table.parameters.check()


def test_invalid_start_value_is_a_fault_until_corrected(server):
    table = server(count=12, name='magic')
    assert list(table.parameters.faults) == ['count', 'name']
    with pytest.raises(AvdetError, match=r'parameter count: .*; parameter name: expected one of'):
        table.parameters.check()
    assert (table.parameters['count'], table.parameters['name']) == (5, 'iou')
    assert table.set(('count', 3)) == (True, '')
    with pytest.raises(AvdetError, match=r'^parameter name'):
        table.parameters.check()
    assert table.set(('name', 'iou'))[0]
    table.parameters.check()


def test_fixed_parameter_changes_only_while_the_node_is_inactive(server):
    table = server()
    table.active = True
    assert table.set(('count', 3)) == (
        False,
        'parameter count: cannot change while the node is active; deactivate it first',
    )
    assert table.set(('count', 5), ('hop_s', 0.2))[0]  # an equal value is not a change
    assert (table.parameters['hop_s'], table.changes) == (0.2, [{'count': 5, 'hop_s': 0.2}])
    table.active = False
    assert table.parameters.fixed_change({'count': 3})
    assert not table.parameters.fixed_change({'hop_s': 0.9})
    assert table.set(('count', 3))[0]
    assert not table.parameters.fixed_change({'count': 3})


def test_parameters_set_together_apply_all_or_none(server):
    table = server()
    assert table.set(('hop_s', 0.3), ('name', 'magic'))[0] is False
    assert table.set(('hop_s', 0.3), ('count', 9)) == (False, 'nine is too many today')
    assert (table.parameters['hop_s'], table.parameters['count'], table.changes) == (0.1, 5, [])


def test_unknown_names_and_bad_qos_overrides_give_warnings(server):
    name = 'qos_overrides./audio.subscription.reliability'
    wrong = 'qos_overrides./audio.subscription.depth'
    table = server(**{'hop_z': 0.2, name: 'reliable', wrong: 'many'})
    assert len(table.parameters.warnings) == 2
    assert table.parameters.warnings[0].startswith('parameter hop_z: expected a known name')
    assert table.parameters.warnings[0].endswith('did you mean hop_s?')
    assert wrong in table.parameters.warnings[1]
    (sentence,) = table.parameters.without_topic()
    assert name in sentence


def test_descriptors_state_bounds_and_constraints(server):
    described = {
        name.name: name for name in server().node.describe_parameters([p.name for p in TABLE])
    }
    hop, count = described['hop_s'], described['count']
    assert hop.description == 'from window to window'
    assert count.description == 'how many (fixed while active)'
    bounds = hop.floating_point_range[0]
    assert (bounds.from_value, bounds.to_value) == (0.02, 1.0)
    bounds = count.integer_range[0]
    assert (bounds.from_value, bounds.to_value) == (1, 9)
    free = described['free']
    assert (len(free.integer_range), len(free.floating_point_range)) == (0, 0)
    assert hop.dynamic_typing
    assert hop.additional_constraints == TABLE[0].expected()
