from __future__ import annotations

import pytest
import yaml

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import brief_repr, did_you_mean, one_line
from avdet_ros.training.recipes.read import read_recipe


def laughs(levels: int = 12) -> str:
    """A small YAML file whose last list stands for ten to the power of levels."""
    lines = ['a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]']
    lines += [f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 10)}]' for n in range(1, levels)]
    return '\n'.join(lines)


def test_a_value_is_shown_short_however_large():
    tree = yaml.safe_load(laughs())
    assert len(brief_repr(tree['a11'])) <= 60
    assert len(brief_repr('x' * 1_000_000, 20)) == 20
    assert brief_repr(10**5000) == 'a huge number'
    assert brief_repr('short') == "'short'"
    assert brief_repr(3) == '3'


@pytest.mark.parametrize(
    'line', ['model: *a11', 'fit: *a11', 'fit: {epochs: *a11}', '? 1\n: *a11', 'kind: *a11']
)
def test_a_recipe_that_unfolds_to_billions_is_one_short_sentence(tmp_path, line):
    path = tmp_path / 'laughs.yaml'
    path.write_text(f'{laughs()}\n{line}\n')
    with pytest.raises(AvdetError) as caught:
        read_recipe(path)
    assert len(str(caught.value)) < 500


def test_an_error_of_many_lines_is_one_short_line():
    assert one_line(ValueError('first\n   second')) == 'first second'
    assert one_line(ValueError()) == 'ValueError'
    assert len(one_line(ValueError('word ' * 1000))) == 160


def test_the_nearest_name_is_proposed_if_one_is_near():
    assert did_you_mean('trakcer', ['tracker', 'source']) == '; did you mean tracker?'
    assert did_you_mean('xyz', ['tracker', 'source']) == ''
    assert did_you_mean(['tracker'] * 10_000, ['tracker']) in ('', '; did you mean tracker?')
