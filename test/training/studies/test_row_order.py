"""Which rows of the paper's table differ significantly, for runs with known results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from avdet_ros.evaluation.runs.on_dataset import FUSED
from avdet_ros.training.studies.paper_rows import ROWS
from avdet_ros.training.studies.row_order import Noise, averages, noise_of, order, pairs, ranks

SIX = [
    row
    for row in ROWS
    if row.key in ('m1', 'm5', 'm6', 'avg_mta', 'stereosoundnet', 'm5_as_released')
]


def run(per_cent):
    """Return the result of a run with a given mAP."""
    return {
        'scores': {FUSED: {'detection': {'map': per_cent / 100}}},
        'fit': {'minutes': 12.0},
    }


def runs_of(means, spread):
    """Return three runs per row around its mean."""
    return [[run(means[row.key] + step * spread) for step in (-1, 0, 1)] for row in SIX]


@pytest.fixture
def paper_runs():
    means = {row.key: row.paper.map if row.paper else 50.0 for row in SIX}
    return runs_of(means, 0.1)


def test_noise_is_pooled_over_rows_with_several_seeds():
    every = [[run(1.0), run(3.0)], [run(2.0), run(2.0), run(5.0)], [run(40.0)]]
    noise = noise_of(every)
    assert noise.freedom == 3
    assert noise.deviation == pytest.approx(np.sqrt((2 + 6) / 3))
    assert noise_of(every[-1:]) is None


def test_interval_matches_student_t():
    rng = np.random.default_rng(3)
    one, other = rng.normal(0, 1, 5), rng.normal(1, 1, 4)
    noise = noise_of([[run(value) for value in one], [run(value) for value in other]])
    interval = ttest_ind(one, other).confidence_interval(0.95)
    assert noise.half_width(5, 4) == pytest.approx((interval.high - interval.low) / 2)


def test_needed_seeds_show_the_difference_in_four_of_five_studies():
    noise, difference = Noise(0.3, 12), 0.2
    seeds = noise.seeds_needed(difference)
    rng = np.random.default_rng(4)
    one = rng.normal(difference, noise.deviation, (4000, seeds))
    other = rng.normal(0.0, noise.deviation, (4000, seeds))
    found = np.mean(ttest_ind(one, other, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.03)
    assert noise.seeds_needed(0.1) == pytest.approx(4 * seeds, rel=0.05)


def test_rows_far_apart_agree_with_the_paper(paper_runs):
    text = order(SIX, paper_runs, True)
    assert '| three teachers beat RGB alone | +16.52 | +16.52 ± 0.18 | yes | 2 |' in text
    assert 'Runs deviate from the mean of their row by 0.10 (pooled' in text
    assert 'deviation, 12 degrees of freedom)' in text
    assert '5 of 5 statements of the table hold here' in text
    assert '5 of 5 differences are larger' in text
    assert 'Training one seed of a row took 12 minutes' in text
    assert ranks(SIX, paper_runs)['m6'] == '1, 1'


def test_differences_within_noise_are_reported(paper_runs):
    means = averages(SIX, paper_runs)
    text = order(SIX, runs_of(means, 40.0), True)
    assert text.count('within noise |') == 5
    assert '0 of 5 differences are larger' in text
    none = pairs(SIX, runs_of(means, 40.0))
    assert '**' not in none
    assert 'Bold would mark pairs' in none


def test_pairs_that_differ_beyond_noise_are_bold():
    means = dict.fromkeys((row.key for row in SIX), 2.0) | {'m6': 3.0}
    text = pairs(SIX, runs_of(means, 0.1))
    row = next(line for line in text.splitlines() if line.startswith('| M6 |'))
    assert row.count('**+1.00**') == 5
    assert 'Bold marks pairs that differ' in text
    assert '5 of 15 pairs.' in text
    assert pairs(SIX[:2], runs_of(means, 0.1)[:2]) == ''


@pytest.mark.parametrize(
    ('missing', 'cell'),
    [(1, '+16.57 ± 0.20 | yes | 2'), (2, '+16.62 ± 0.26 | yes | 2'), (3, '- | not defined | -')],
)
def test_seeds_without_a_result_do_not_narrow_the_interval(paper_runs, missing, cell):
    of_m1 = paper_runs[[row.key for row in SIX].index('m1')]
    of_m1[3 - missing :] = [{**result, 'scores': {}} for result in of_m1[3 - missing :]]
    text = order(SIX, paper_runs, True)
    assert f'| three teachers beat RGB alone | +16.52 | {cell} |' in text
