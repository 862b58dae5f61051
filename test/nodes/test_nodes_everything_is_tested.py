"""Every parameter and every value in the diagnostics stands in a test: a habit, not a proof."""

from __future__ import annotations

import ast
from pathlib import Path
import re

import pytest

from avdet_ros.parameters import NODES

TESTS = Path(__file__).resolve().parents[1]
CODE = TESTS.parent / 'avdet_ros' / 'nodes'
WHERE = ('nodes', 'integration', 'sources', 'bench')


@pytest.fixture(scope='module')
def words():
    """All words of the tests that see a node, or what it is made of."""
    text = ''.join(
        path.read_text(encoding='utf-8')
        for folder in WHERE
        for path in sorted((TESTS / folder).rglob('test_*.py'))
        if path != Path(__file__)
    )
    return set(re.findall(r'\w+', text))


def told():
    """Names of the values that nodes put into their reports."""
    names = set()
    for path in sorted(CODE.glob('*.py')):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr == 'value':
                names |= {keyword.arg for keyword in node.keywords if keyword.arg}
            elif node.func.attr == 'add_to' and len(node.args) == 2:
                names.add(f'{node.args[1].value}_ms_max')
    return sorted(names)


@pytest.mark.parametrize(
    'name', sorted({param.name for table in NODES.values() for param in table})
)
def test_every_parameter_is_set_in_a_test(words, name):
    assert name in words


def test_the_values_are_found():
    assert {'windows_in', 'tracks_alive', 'level_db', 'state', 'latency_ms_max'} <= set(told())


@pytest.mark.parametrize('name', told())
def test_every_value_of_the_diagnostics_is_looked_at_in_a_test(words, name):
    assert name in words or f"'{name.removesuffix('_ms_max')}'" in words or known(words, name)


def known(words, name):
    """Durations may be looked at by another of their three numbers, or by their name."""
    stem = name.removesuffix('_ms_max')
    return name != stem and bool({stem, f'{stem}_ms_p50', f'{stem}_ms_p99'} & words)
