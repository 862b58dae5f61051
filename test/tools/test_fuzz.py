"""Every reader with valid input, with damaged input and with earlier findings."""

from __future__ import annotations

from pathlib import Path
import sys

from helpers.examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
fuzz_targets = pytest.importorskip('fuzz_targets')

FINDINGS = sorted((Path(__file__).parent / 'fuzz_findings').glob('*/*'))
NAMES = list(fuzz_targets.TARGETS)
SEEDS = {name: fuzz_targets.seeds(name) for name in NAMES}


@pytest.mark.parametrize('name', NAMES)
def test_valid_input_is_accepted(name):
    assert SEEDS[name]
    assert all(fuzz_targets.run(name, seed) for seed in SEEDS[name])


@pytest.mark.parametrize('name', NAMES)
@settings(
    deadline=None,
    max_examples=examples(30),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_input_is_accepted_or_rejected_with_an_error(name, data):
    content = bytearray(data.draw(st.sampled_from(SEEDS[name])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(content) - 1, 0)))
        cut = data.draw(st.integers(0, 8))
        content[place : place + cut] = data.draw(st.binary(max_size=8))
    fuzz_targets.run(name, bytes(content))


@pytest.mark.parametrize('path', FINDINGS, ids=lambda path: f'{path.parent.name}-{path.name[:20]}')
def test_earlier_findings_stay_fixed(path):
    fuzz_targets.run(path.parent.name, path.read_bytes())
