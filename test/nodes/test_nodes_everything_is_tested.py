"""Every parameter and every diagnostics value is named in a test: a reminder, not a proof."""

from __future__ import annotations

import ast
from pathlib import Path
import re

import pytest

from avdet_ros.parameters import NODES

TESTS = Path(__file__).resolve().parents[1]
CODE = TESTS.parent / 'avdet_ros' / 'nodes'
FOLDERS = ('nodes', 'integration', 'sources', 'bench')


@pytest.fixture(scope='module')
def words():
    """All words in the tests of nodes and of their parts."""
    text = ''.join(
        path.read_text(encoding='utf-8')
        for folder in FOLDERS
        for path in sorted((TESTS / folder).rglob('test_*.py'))
        if path != Path(__file__)
    )
    return set(re.findall(r'\w+', text))


def reported_values():
    """Names of the values that nodes put into their diagnostics reports."""
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
def test_every_parameter_name_appears_in_a_test(words, name):
    assert name in words


def test_names_of_diagnostics_values_are_found():
    assert {'windows_in', 'tracks_alive', 'level_db', 'state', 'latency_ms_max'} <= set(
        reported_values()
    )


@pytest.mark.parametrize('name', reported_values())
def test_every_diagnostics_value_appears_in_a_test(words, name):
    assert (
        name in words
        or f"'{name.removesuffix('_ms_max')}'" in words
        or duration_is_checked(words, name)
    )


def duration_is_checked(words, name):
    """A duration may also be tested by another of its three statistics, or by its name."""
    stem = name.removesuffix('_ms_max')
    return name != stem and bool({stem, f'{stem}_ms_p50', f'{stem}_ms_p99'} & words)
