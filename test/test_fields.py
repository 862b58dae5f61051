"""The check of values shared by parameters, recipes, rig files and model metadata."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Field, fill, value


@pytest.mark.parametrize(
    ('field', 'given', 'sentence'),
    [
        (Field(int, 1, 5), 6, 'a whole number from 1 to 5, found 6'),
        (Field(int, 1), 0, 'a whole number of at least 1, found 0'),
        (Field(int), True, 'a whole number, found True'),
        (Field(float, 0, 1), float('nan'), 'a number from 0 to 1, found nan'),
        (Field(float), 10**400, 'a number, found 1'),
        (Field(bool), 1, 'true or false, found 1'),
        (Field(str), 'a\0b', r"a text, found 'a\\x00b'"),
        (Field(str, choices=('car', 'van')), 'vam', "one of car, van, found 'vam'; did you mean"),
        (Field(list, choices=('car', 'van')), ['bus'], "some of car, van, found 'bus'"),
        (Field(list), 'car', "a list of texts, found 'car'"),
    ],
)
def test_invalid_value_error_states_the_expected_value(field, given, sentence):
    with pytest.raises(AvdetError, match=f'^here: expected {sentence}'):
        field.check(given, 'here')


def test_callable_choices_are_evaluated_at_each_check():
    known = ['car']
    field = Field(str, choices=lambda: known)
    with pytest.raises(AvdetError, match='one of car, found'):
        field.check('van', 'here')
    known.append('van')
    assert field.check('van', 'here') == 'van'


@dataclass(frozen=True)
class Wheels:
    count: int = value(4, 2, 18)
    size_m: float = value(0.6, 0.1, 3)


def test_fill_converts_a_tree_to_a_dataclass():
    assert fill(Wheels, {'count': 6, 'size_m': 1}, 'a.yaml') == Wheels(6, 1.0)
    with pytest.raises(AvdetError, match=r'a\.yaml: count: expected a whole number from 2 to 18'):
        fill(Wheels, {'count': 1}, 'a.yaml')
    with pytest.raises(AvdetError, match=r'cout: .*did you mean count\?'):
        fill(Wheels, {'cout': 4}, 'a.yaml')
