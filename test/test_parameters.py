"""Parameter tables: types, ranges and texts, without ROS."""

from __future__ import annotations

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param, find
from avdet_ros.parameters import NODES


@pytest.mark.parametrize('node', NODES)
def test_every_default_is_valid_and_described(node):
    names = [param.name for param in NODES[node]]
    assert len(names) == len(set(names))
    for param in NODES[node]:
        assert param.check(param.default) == param.default
        assert len(param.description) > 10


@pytest.mark.parametrize(
    ('param', 'value'),
    [
        (Param('a', 0.1, 'x', 0, 1), 1.5),
        (Param('a', 0.1, 'x', 0, 1), float('nan')),
        (Param('a', 0.1, 'x', 0, 1), '0.2'),
        (Param('a', 0.1, 'x', 0, 1), True),
        (Param('a', 1, 'x', 0, 5), 1.0),
        (Param('a', 1, 'x', 0, 5), True),
        (Param('a', True, 'x'), 1),
        (Param('a', 'b', 'x', choices=('b', 'c')), 'd'),
        (Param('a', 'b', 'x'), 'd' * 5000),
        (Param('a', ['b'], 'x', choices=('b', 'c')), ['b', 'd']),
        (Param('a', ['b'], 'x'), 'b'),
    ],
)
def test_invalid_values_raise_one_line_errors(param, value):
    with pytest.raises(AvdetError, match=r'^parameter a: expected .*, found') as caught:
        param.check(value)
    assert '\n' not in str(caught.value)


def test_float_parameters_accept_integers():
    assert Param('a', 0.5, 'x', 0, 2).check(1) == 1.0


@pytest.mark.parametrize(
    ('default', 'text', 'value'),
    [
        (True, 'false', False),
        (1, '3', 3),
        (0.5, '2', 2.0),
        ('a', 'b', 'b'),
        (['a'], 'a, b', ['a', 'b']),
    ],
)
def test_command_line_texts_are_parsed(default, text, value):
    assert Param('a', default, 'x').parse(text) == value


@pytest.mark.parametrize(('default', 'text'), [(True, 'yes'), (1, '3.5'), (0.5, 'much')])
def test_invalid_command_line_texts_are_rejected(default, text):
    with pytest.raises(AvdetError, match='parameter a: expected'):
        Param('a', default, 'x').parse(text)


def test_error_suggests_the_name_for_a_misspelt_one():
    with pytest.raises(AvdetError, match=r'hop_s\?'):
        find(NODES['capture'], 'hops')
