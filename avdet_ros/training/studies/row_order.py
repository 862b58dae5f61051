"""Compare the order of rows with the paper's: differences, noise of seeds, and seeds needed.

A row's figure is the mean over its seeds of mAP@Avg against the fused labels, in per cent. One
deviation of a run around its row's mean, pooled over the rows with several seeds, holds for all.
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
"""Rows closer than this, in per cent, count as equal."""

SURE = 0.95
"""Confidence level of intervals and of significant differences."""

POWER = (1.960 + 0.842) ** 2
"""Twice its product with the squared ratio of deviation and difference is the number of seeds of
both rows that shows the difference at 5 % in four studies of five (normal approximation)."""

Runs = Sequence[dict[str, Any]]
"""Results of one row, one per seed, see `reproduce.run_row`."""


def figures(of_row: Runs, kind: str, name: str) -> list[float]:
    """Return one figure of a row's runs in per cent, without runs that lack it."""
    values = [result['scores'].get(kind, {}).get('detection', {}).get(name) for result in of_row]
    return [100 * value for value in values if value is not None]


def averages(rows: Sequence[Row], every: Sequence[Runs]) -> dict[str, float]:
    """Return each row's figure; NaN if undefined."""
    known = [figures(of_row, FUSED, 'map') for of_row in every]
    return {
        row.key: mean(values) if values else math.nan
        for row, values in zip(rows, known, strict=True)
    }


def ranks(rows: Sequence[Row], every: Sequence[Runs]) -> dict[str, str]:
    """Return the paper's and our rank of the rows in the paper."""
    keys = [row.key for row in rows if row.paper is not None]
    paper_ranks = rankdata([-row.paper.map for row in rows if row.paper is not None], 'min')
    our_scores = averages(rows, every)
    our_ranks = rankdata([-our_scores[key] for key in keys], 'min', nan_policy='omit')
    return {
        key: f'{int(paper)}, {"-" if math.isnan(own) else int(own)}'
        for key, paper, own in zip(keys, paper_ranks, our_ranks, strict=True)
    }


@dataclass(frozen=True)
class Noise:
    """Spread of the runs of one row.

    Attributes:
        deviation: standard deviation of a run around its row's mean, per cent.
        freedom: degrees of freedom: number of runs less one per row.
    """

    deviation: float
    freedom: int

    def half_width(self, seeds_a: int, seeds_b: int) -> float:
        """Half the width of the 95 % interval of a difference of two means (Student's t)."""
        quantile = float(t.ppf(0.5 + SURE / 2, self.freedom))
        return quantile * self.deviation * math.sqrt(1 / seeds_a + 1 / seeds_b)

    def seeds_needed(self, difference: float) -> int:
        """Number of seeds of both rows that would show the difference, see `POWER`."""
        return max(2, math.ceil(2 * POWER * (self.deviation / difference) ** 2))


def noise_of(every: Sequence[Runs]) -> Noise | None:
    """Estimate the noise pooled over the rows with several seeds; None if there are none."""
    squares, freedom = 0.0, 0
    for of_row in every:
        values = figures(of_row, FUSED, 'map')
        if len(values) > 1:
            squares += float(np.var(values) * len(values))
            freedom += len(values) - 1
    return Noise(math.sqrt(squares / freedom), freedom) if freedom else None


def order(rows: Sequence[Row], every: Sequence[Runs], shows_order: bool) -> str:
    """Compare the paper's claims with our rows, in Markdown; '' if none can be compared."""
    our_scores, noise = averages(rows, every), noise_of(every)
    seeds = {
        row.key: len(figures(of_row, FUSED, 'map'))
        for row, of_row in zip(rows, every, strict=True)
    }
    paper_scores = {row.key: row.paper.map for row in rows if row.paper is not None}
    lines, verdicts = [], []
    for better, worse, words in CLAIMS:
        if better not in paper_scores or worse not in paper_scores:
            continue
        difference = our_scores[better] - our_scores[worse]
        half = math.nan
        if noise and seeds[better] and seeds[worse]:
            half = noise.half_width(seeds[better], seeds[worse])
        verdict = _verdict(difference, half) if shows_order else 'too small to tell'
        verdicts.append(verdict)
        takes = '-'
        if noise and shows_order and abs(difference) >= TIE:
            takes = str(noise.seeds_needed(difference))
        paper = paper_scores[better] - paper_scores[worse]
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
    return (
        f'{text}\n\n{_summary(verdicts, our_scores, paper_scores, every, noise)}'
        if shows_order
        else text
    )


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
    verdicts: Sequence[str],
    our_scores: dict[str, float],
    paper_scores: dict[str, float],
    every: Sequence[Runs],
    noise: Noise | None,
) -> str:
    agreeing = sum(verdict.startswith('yes') for verdict in verdicts)
    words = f'{agreeing} of {len(verdicts)} statements of the table hold here.'
    if noise:
        sure = sum(verdict in ('yes', 'no') for verdict in verdicts)
        minutes = mean(result['fit']['minutes'] for of_row in every for result in of_row)
        words += (
            f' Runs deviate from the mean of their row by {noise.deviation:.2f} (pooled standard '
            f'deviation, {noise.freedom} degrees of freedom). ± is half of a 95 % interval; '
            f'{sure} of {len(verdicts)} differences are larger than that. The last column is the '
            'number of seeds of both rows needed to show a difference as large as the one found '
            'here, at the 5 % level in four studies of five. Training one seed of a row took '
            f'{minutes:.0f} minutes.'
        )
    both = [key for key in paper_scores if not math.isnan(our_scores[key])]
    if len(both) > 2 and len({our_scores[key] for key in both}) > 1:
        rank = spearmanr(
            [paper_scores[key] for key in both], [our_scores[key] for key in both]
        ).statistic
        words += f' The rank correlation of the rows (Spearman) is {rank:+.2f}.'
    return words


def pairs(rows: Sequence[Row], every: Sequence[Runs]) -> str:
    """Compare every pair of rows with several seeds, in Markdown; '' for fewer than three."""
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
    mark = 'marks' if sure else 'would mark'
    words = (
        f'Bold {mark} pairs that differ by more than their seeds do (Tukey, 5 % for all pairs '
        f'together): {sure} of {count} pairs. If all rows were equal, means this far apart would '
        f'have a probability of {all_rows:.2g} (F test).'
    )
    return '\n'.join(['### Every pair', '', *lines, '', words])
