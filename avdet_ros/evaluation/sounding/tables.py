"""Markdown tables of how well visible vehicles that sound are selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avdet_ros.evaluation.sounding.boxes import SeenBoxes
from avdet_ros.evaluation.sounding.parts import parts_of, shares
from avdet_ros.evaluation.sounding.ranking import (
    BINS,
    Ranking,
    accuracy,
    best_threshold,
    interval,
    rank,
    reliability,
)


@dataclass(frozen=True)
class RowScores:
    """Scores of one selector (a row) for the boxes of validation and test drives, by seed.

    Attributes:
        title: name in tables.
        hears: whether it uses the sound.
        knows: values that it takes from the truth of the boxes that it scores.
        val: (N,) scores of validation boxes with the right sound, one array a seed.
        test: scores of test boxes by name of the sound, one array a seed.
        own: name of the right sound.
    """

    title: str
    hears: bool
    knows: str
    val: Sequence[np.ndarray]
    test: Mapping[str, Sequence[np.ndarray]]
    own: str


def share_table(boxes: Mapping[str, SeenBoxes]) -> str:
    """Tabulate `shares` of the boxes, a column for each list of boxes."""
    columns = {name: shares(seen) for name, seen in boxes.items()}
    frames = ('only audible', 'both', 'only inaudible', 'none')
    words = {
        'hidden': 'hidden, of all audible ones in the image',
        **{name: f'frames with {name}' for name in frames},
        'none': 'frames without a box',
    }
    lines = [
        f'| share | {" | ".join(f"{name} ({len(seen)})" for name, seen in boxes.items())} |',
        f'|---|{"--:|" * len(boxes)}',
    ]
    for key in next(iter(columns.values())):
        cells = ' | '.join(f'{100 * column[key]:.0f} %' for column in columns.values())
        lines.append(f'| {words.get(key, key)} | {cells} |')
    return '\n'.join(lines)


def main_table(
    rows: Sequence[RowScores], boxes: Mapping[str, SeenBoxes], wrong: Sequence[str]
) -> str:
    """Tabulate AP of both kinds, ROC area, accuracy, and the controls with wrong sound.

    Args:
        rows: the selectors' scores.
        boxes: boxes of ``val`` and ``test``.
        wrong: names of wrong sounds; the last columns hold their AP of the inaudible boxes.
    """
    lines = [
        '| row | from the truth | AP sounding | AP inaudible | ROC area | accuracy | '
        + ' | '.join(wrong)
        + ' |',
        f'|---|---|--:|--:|--:|--:|{"--:|" * len(wrong)}',
    ]
    val, test = boxes['val'], boxes['test']
    for row in rows:
        found = [rank(scores, test.sounds) for scores in row.test[row.own]]
        right = [
            accuracy(scores, test.sounds, best_threshold(before, val.sounds))
            for scores, before in zip(row.test[row.own], row.val, strict=True)
        ]
        bound = inaudible_interval(row.test[row.own][0], test)
        cells = [row.title, row.knows or '-']
        cells += [_several([ranking.ap_sounding for ranking in found])]
        cells += [f'{_several([ranking.ap_inaudible for ranking in found])} ({bound})']
        cells += [_several([ranking.roc_auc for ranking in found]), _several(right)]
        for name in wrong:
            values = [rank(scores, test.sounds).ap_inaudible for scores in row.test.get(name, ())]
            cells.append(_several(values) if values else '-')
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def part_table(rows: Sequence[RowScores], test: SeenBoxes) -> str:
    """Tabulate the ROC area of some rows on each part of the test boxes, mean over seeds."""
    lines = [
        f'| part | boxes | sound | {" | ".join(row.title for row in rows)} |',
        f'|---|--:|--:|{"--:|" * len(rows)}',
    ]
    for name, mask in parts_of(test).items():
        each = [
            [rank(scores[mask], test.sounds[mask]) for scores in row.test[row.own]] for row in rows
        ]
        first: Ranking = each[0][0]
        cells = ' | '.join(
            _several([ranking.roc_auc for ranking in rankings]) for rankings in each
        )
        lines.append(f'| {name} | {first.boxes} | {first.sounding} | {cells} |')
    return '\n'.join(lines)


def bar_table(rows: Sequence[RowScores], bar: RowScores, test: SeenBoxes) -> str:
    """Tabulate the gain of rows over another one, in AP of the inaudible on the same drives.

    Args:
        rows: the selectors' scores; the first seed of each counts.
        bar: the row that they should beat.
        test: the boxes.
    """
    lines = [f'| AP inaudible less that of "{bar.title}" | difference | 95 % over drives |']
    lines.append('|---|--:|--:|')
    low_bar = bar.test[bar.own][0]
    for row in rows:
        scores = row.test[row.own][0]

        def gained(places: np.ndarray, scores: np.ndarray = scores) -> float:
            sounds = test.sounds[places]
            row_ap = rank(scores[places], sounds).ap_inaudible
            return row_ap - rank(low_bar[places], sounds).ap_inaudible

        low, high = interval(gained, test.drive)
        whole = gained(np.arange(len(test)))
        lines.append(f'| {row.title} | {whole:+.2f} | {low:+.2f} to {high:+.2f} |')
    return '\n'.join(lines)


def reliability_table(rows: Sequence[RowScores], test: SeenBoxes) -> str:
    """Tabulate the share of boxes that sound by predicted probability, over all seeds.

    Args:
        rows: rows whose scores are logits.
        test: the boxes.
    """
    ends = [f'{place / BINS:.1f} to {(place + 1) / BINS:.1f}' for place in range(BINS)]
    lines = [f'| said | {" | ".join(ends)} | off by |', f'|---|{"--:|" * (BINS + 1)}']
    for row in rows:
        seeds = row.test[row.own]
        chance = 1 / (1 + np.exp(-np.concatenate(seeds)))
        count, predicted, found = reliability(chance, np.tile(test.sounds, len(seeds))).T
        cells = [
            f'{100 * share:.0f} % of {number:.0f}' if number else '-'
            for number, share in zip(count, found, strict=True)
        ]
        error = np.nansum(count * np.abs(predicted - found)) / max(count.sum(), 1)
        lines.append(f'| {row.title} | {" | ".join(cells)} | {_number(float(error))} |')
    return '\n'.join(lines)


def inaudible_interval(scores: np.ndarray, boxes: SeenBoxes) -> str:
    """Format the 95 % interval of the AP of the inaudible boxes over resampled drives."""

    def measure(places: np.ndarray) -> float:
        return rank(scores[places], boxes.sounds[places]).ap_inaudible

    low, high = interval(measure, boxes.drive)
    return f'{_number(low)} to {_number(high)}'


def _several(values: Sequence[float]) -> str:
    """Format the mean and half the range over seeds, or the only number."""
    mean = _number(float(np.mean(values)))
    if len(values) < 2 or not np.isfinite(values).all():
        return mean
    half = (max(values) - min(values)) / 2
    return f'{mean} ± {_number(half)}'


def _number(value: float) -> str:
    """Format with two decimals and without a leading zero."""
    if not np.isfinite(value):
        return '-'
    text = f'{value:.2f}'
    return text[1:] if text.startswith('0') else text
