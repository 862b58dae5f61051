"""Which rows differ by more than their seeds do, as in the paper or not, and what it would take.

A row's figure is the mean over its seeds of mAP@Avg against the fused labels, in per cent. All
rows share one deviation of a run around its row's mean, pooled over the rows with several seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from statistics import mean
from typing import Any

import numpy as np
from scipy.stats import f_oneway, rankdata, spearmanr, t, tukey_hsd

from avdet_ros.evaluation.runs.on_dataset import FUSED
from avdet_ros.training.studies.paper_rows import CLAIMS, Row

TIE = 0.05
"""Rows closer than this, in per cent, are neither better nor worse."""

SURE = 0.95
"""Of an interval, and of what is called different."""

POWER = (1.960 + 0.842) ** 2
"""Twice its product with the squared ratio of deviation and difference is how many seeds of both
rows show that difference at 5 % in four studies of five (normal approximation)."""

Runs = Sequence[dict[str, Any]]
"""Of one row, a result a seed, see `reproduce.run_row`."""


def figures(of_row: Runs, kind: str, name: str) -> list[float]:
    """A figure of a row's runs in per cent, of those that have it."""
    values = [result['scores'].get(kind, {}).get('detection', {}).get(name) for result in of_row]
    return [100 * value for value in values if value is not None]


def averages(rows: Sequence[Row], every: Sequence[Runs]) -> dict[str, float]:
    """Each row's figure; NaN where nothing defines it."""
    known = [figures(of_row, FUSED, 'map') for of_row in every]
    return {
        row.key: mean(values) if values else math.nan
        for row, values in zip(rows, known, strict=True)
    }


def ranks(rows: Sequence[Row], every: Sequence[Runs]) -> dict[str, str]:
    """Rank by the paper and by us, of the rows that the paper has."""
    keys = [row.key for row in rows if row.paper is not None]
    theirs = rankdata([-row.paper.map for row in rows if row.paper is not None], 'min')
    ours = averages(rows, every)
    own = rankdata([-ours[key] for key in keys], 'min', nan_policy='omit')
    return {
        key: f'{int(paper)}, {"-" if math.isnan(its) else int(its)}'
        for key, paper, its in zip(keys, theirs, own, strict=True)
    }


@dataclass(frozen=True)
class Noise:
    """How far runs of one row lie apart.

    Attributes:
        deviation: of a run around its row's mean, per cent.
        freedom: how many deviations it was taken from, less one a row.
    """

    deviation: float
    freedom: int

    def half_width(self, seeds_a: int, seeds_b: int) -> float:
        """Of the 95 % interval of a difference between two means (Student's t)."""
        quantile = float(t.ppf(0.5 + SURE / 2, self.freedom))
        return quantile * self.deviation * math.sqrt(1 / seeds_a + 1 / seeds_b)

    def seeds_needed(self, difference: float) -> int:
        """Seeds of both rows that would show such a difference, see `POWER`."""
        return max(2, math.ceil(2 * POWER * (self.deviation / difference) ** 2))


def noise_of(every: Sequence[Runs]) -> Noise | None:
    """Pooled over the rows with several seeds; None if there are none."""
    squares, freedom = 0.0, 0
    for of_row in every:
        values = figures(of_row, FUSED, 'map')
        if len(values) > 1:
            squares += float(np.var(values) * len(values))
            freedom += len(values) - 1
    return Noise(math.sqrt(squares / freedom), freedom) if freedom else None


def order(rows: Sequence[Row], every: Sequence[Runs], shows_order: bool) -> str:
    """What the paper's table shows, and whether ours does, in Markdown; '' without such rows."""
    ours, noise = averages(rows, every), noise_of(every)
    seeds = {
        row.key: len(figures(of_row, FUSED, 'map'))
        for row, of_row in zip(rows, every, strict=True)
    }
    theirs = {row.key: row.paper.map for row in rows if row.paper is not None}
    lines, told = [], []
    for better, worse, words in CLAIMS:
        if better not in theirs or worse not in theirs:
            continue
        difference = ours[better] - ours[worse]
        half = math.nan
        if noise and seeds[better] and seeds[worse]:
            half = noise.half_width(seeds[better], seeds[worse])
        verdict = _verdict(difference, half) if shows_order else 'too small to tell'
        told.append(verdict)
        takes = '-'
        if noise and shows_order and abs(difference) >= TIE:
            takes = str(noise.seeds_needed(difference))
        paper = theirs[better] - theirs[worse]
        lines.append(
            f'| {words} | {paper:+.2f} | {_gap(difference, half)} | {verdict} | {takes} |'
        )
    if not lines:
        return ''
    head = (
        "## The paper's order",
        '',
        '| the paper shows | paper | ours | agrees | seeds it would take |',
        '|---|---|---|---|---|',
    )
    text = '\n'.join([*head, *lines])
    return f'{text}\n\n{_summary(told, ours, theirs, every, noise)}' if shows_order else text


def _gap(difference: float, half: float) -> str:
    if math.isnan(difference):
        return '-'
    return f'{difference:+.2f}' if math.isnan(half) else f'{difference:+.2f} ± {half:.2f}'


def _verdict(difference: float, half: float) -> str:
    if math.isnan(difference):
        return 'not defined'
    if abs(difference) < TIE:
        return 'no difference'
    verdict = 'yes' if difference > 0 else 'no'
    return verdict + ', within noise' if abs(difference) <= half else verdict


def _summary(
    told: Sequence[str],
    ours: dict[str, float],
    theirs: dict[str, float],
    every: Sequence[Runs],
    noise: Noise | None,
) -> str:
    agreeing = sum(verdict.startswith('yes') for verdict in told)
    words = f'{agreeing} of {len(told)} statements of the table hold here.'
    if noise:
        sure = sum(verdict in ('yes', 'no') for verdict in told)
        minutes = mean(result['fit']['minutes'] for of_row in every for result in of_row)
        words += (
            f' A run lies {noise.deviation:.2f} from the mean of its row (pooled, '
            f'{noise.freedom} degrees of freedom). ± is the half of a 95 % interval; {sure} of '
            f'{len(told)} differences are larger. The last column says how many seeds of both '
            'rows would show a difference as large as the one found here, at 5 % in four studies '
            f'of five; a seed of a row took {minutes:.0f} minutes of fitting.'
        )
    both = [key for key in theirs if not math.isnan(ours[key])]
    if len(both) > 2 and len({ours[key] for key in both}) > 1:
        rank = spearmanr([theirs[key] for key in both], [ours[key] for key in both]).statistic
        words += f' Rank correlation of the rows (Spearman): {rank:+.2f}.'
    return words


def pairs(rows: Sequence[Row], every: Sequence[Runs]) -> str:
    """Every pair of rows with several seeds, in Markdown; '' for fewer than three such rows."""
    samples = {
        row.title: values
        for row, of_row in zip(rows, every, strict=True)
        if len(values := figures(of_row, FUSED, 'map')) > 1
    }
    titles = list(samples)
    if len(titles) < 3:
        return ''
    all_rows = f_oneway(*samples.values()).pvalue
    apart = tukey_hsd(*samples.values())
    lines = [f'| row less column | {" | ".join(titles)} |', '|---' * (len(titles) + 1) + '|']
    sure = 0
    for one, title in enumerate(titles):
        cells = []
        for other in range(len(titles)):
            cell = f'{apart.statistic[one, other]:+.2f}'
            if apart.pvalue[one, other] < 1 - SURE:
                cell = f'**{cell}**'
                sure += one < other
            cells.append('' if one == other else cell)
        lines.append(f'| {title} | {" | ".join(cells)} |')
    count = len(titles) * (len(titles) - 1) // 2
    words = (
        f'{sure} of {count} pairs differ by more than their seeds do, in bold (Tukey, 5 % for all '
        'pairs together). Were all rows alike, their means would be so far apart with a '
        f'probability of {all_rows:.2g} (F test).'
    )
    return '\n'.join(['### Every pair', '', *lines, '', words])
