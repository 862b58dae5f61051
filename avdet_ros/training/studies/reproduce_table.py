"""The table of `avdet train reproduce`: ours beside the paper's, and whether the order agrees."""

from __future__ import annotations

from collections.abc import Sequence
import math
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import rankdata, spearmanr

from avdet_ros.evaluation.runs.on_dataset import FUSED, TRUE
from avdet_ros.training.studies.paper_rows import CLAIMS, TRACKING, Row, Scale

TIE = 0.05
"""Rows closer than this, in per cent, are neither better nor worse."""


_HOW = """\
Per cent; @Avg is over IoU 0.50 to 0.95. *Fused*: against one ground truth for all rows, the boxes
of all teachers fused, as in the paper. *True*: against the simulator's boxes, where the data have
them. CDx and CDy are of matched boxes with a score of at least 0.3, "-" where there
are none. Ranks are among the rows of the paper, by mAP@Avg."""

_HOW_TRACKED = """\
Against true boxes; the paper's Table 3 beside them, from another data set, so that only the
direction can agree."""

_NOT_HERE = """\
The paper's Table 1 also has 2M-DistillNet with RGB, depth or thermal (57.25, 55.41, 56.70) and
MM-DistillNet Avg (51.63), nominally the set-ups of M1 and Avg MTA, which they contradict; they are
not run twice. Where the paper leaves a weight open (ranking, pairwise, AFD) it is 1."""

_HEAD = """\
| row | teachers | loss | pretext | paper: @Avg / 0.5 / 0.75 | fused: @Avg / 0.5 / 0.75 \
| fused: CDx / CDy | true: @Avg / 0.5 | rank: paper, ours |
|---|---|---|---|---|---|---|---|---|"""


def write_table(
    path: Path,
    rows: Sequence[Row],
    results: Sequence[Sequence[dict[str, Any]]],
    scale: Scale,
    about: dict[str, str],
) -> Path:
    """Write the results as a page for people.

    Args:
        path: the Markdown file.
        rows: in the order of the table.
        results: of each row and seed, see `reproduce.run_row`.
        scale: they were made at.
        about: command, data, commit, torch and device.
    """
    firsts = [of_row[0] for of_row in results]
    parts = [
        f'# The tables of the paper, at scale {scale.name}',
        f'    {about["command"]}' if about['command'] else '',
        f'**What this is worth.** {scale.reading}',
        _amounts(rows, firsts, about),
        '## mAP',
        _HOW,
        _main_table(rows, firsts, scale.shows_order),
        _seeds(rows, results),
        _order(rows, results, scale.shows_order),
        '## Tracking, frames with a single vehicle',
        _HOW_TRACKED,
        _tracking(rows, firsts),
        '## Not in the table',
        _NOT_HERE,
    ]
    path.write_text('\n\n'.join(part for part in parts if part) + '\n', encoding='utf-8')
    return path


def _amounts(rows: Sequence[Row], results: Sequence[dict[str, Any]], about: dict[str, str]) -> str:
    first = results[0]
    frames = {kind: scores['detection']['frames'] for kind, scores in first['scores'].items()}
    boxes = {kind: scores['detection']['boxes'] for kind, scores in first['scores'].items()}
    tested = ', '.join(f'{boxes[kind]} {kind}' for kind in frames)
    minutes = sum(result['fit']['minutes'] for result in results)
    pairs = zip(rows, results, strict=True)
    drawn = max((each['labels'] for row, each in pairs if row.labels != 'truth'), default=0)
    return (
        f'Each student learns from {first["fit"]["windows"]} windows; the teachers drew up to '
        f'{drawn} boxes in them. Tested on {max(frames.values())} frames with {tested}. '
        f'Fitting all {len(rows)} students took {minutes:.0f} minutes ({about["device"]}, torch '
        f'{about["torch"]}). Data: {about["data"]}. Commit {about["commit"][:10] or "unknown"}.'
    )


def _main_table(rows: Sequence[Row], results: Sequence[dict[str, Any]], shows_order: bool) -> str:
    lines = [_HEAD]
    ranks = _ranks(rows, results) if shows_order else {}
    for row, result in zip(rows, results, strict=True):
        fused, true = (_detection(result, kind) for kind in (FUSED, TRUE))
        theirs = '-'
        if row.paper is not None:
            theirs = f'{row.paper.map:.2f} / {row.paper.map50:.2f} / {row.paper.map75:.2f}'
        letters = ', '.join(name[0].upper() for name in row.teachers)
        if row.labels == 'truth':
            letters = '-'
        loss = row.loss.upper() if row.loss in ('mta', 'afd') else row.loss
        if len(row.teachers) > 1 and row.loss != 'none':
            loss += f', {row.combine}'
        cells = (
            row.title,
            letters,
            loss,
            'yes' if row.pretext else 'no',
            theirs,
            _join(fused, ('map', 'map50', 'map75')),
            _join(fused, ('cdx', 'cdy'), 1.0),
            _join(true, ('map', 'map50')),
            ranks.get(row.key, '-'),
        )
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _seeds(rows: Sequence[Row], every: Sequence[Sequence[dict[str, Any]]]) -> str:
    """Mean and standard deviation of the rows that were run more than once."""
    lines = []
    for row, of_row in zip(rows, every, strict=True):
        if len(of_row) < 2:
            continue
        cells = [row.title, str(len(of_row))]
        for kind in (FUSED, TRUE):
            for name in ('map', 'map50'):
                known = _per_cent(of_row, kind, name)
                several = len(known) > 1
                cells.append(f'{mean(known):.2f} ± {stdev(known):.2f}' if several else '-')
        lines.append(f'| {" | ".join(cells)} |')
    if not lines:
        return ''
    head = (
        '| row | seeds | fused: @Avg | fused: @0.5 | true: @Avg | true: @0.5 |',
        '|---|---|---|---|---|---|',
    )
    words = 'Mean and standard deviation over the seeds, per cent; the table above has seed 0.'
    return '\n'.join(['### Over several seeds', '', words, '', *head, *lines])


def _noise(every: Sequence[Sequence[dict[str, Any]]]) -> float:
    """What two single runs of one row may be apart: twice the deviation of their difference."""
    spreads = []
    for of_row in every:
        known = _per_cent(of_row, FUSED, 'map')
        if len(known) > 1:
            spreads.append(stdev(known))
    return 2 * math.sqrt(2) * max(spreads, default=0.0)


def _order(
    rows: Sequence[Row], every: Sequence[Sequence[dict[str, Any]]], shows_order: bool
) -> str:
    ours, noise = _averages(rows, [of_row[0] for of_row in every]), _noise(every)
    theirs = {row.key: row.paper.map for row in rows if row.paper is not None}
    lines = [
        "## The paper's order",
        '',
        '| the paper shows | paper | ours | agrees |',
        '|---|---|---|---|',
    ]
    agreeing = compared = sure = 0
    for better, worse, words in CLAIMS:
        if better not in theirs or worse not in theirs:
            continue
        paper = theirs[better] - theirs[worse]
        difference = ours[better] - ours[worse]
        if math.isnan(difference):
            verdict, gap = 'not defined', '-'
        elif abs(difference) < TIE:
            verdict, gap = 'no difference', f'{difference:+.2f}'
        else:
            verdict, gap = 'yes' if difference > 0 else 'no', f'{difference:+.2f}'
            agreeing += difference > 0
            sure += abs(difference) > noise
            if abs(difference) <= noise:
                verdict += ', within noise'
        if not shows_order:
            verdict = 'too small to tell'
        compared += 1
        lines.append(f'| {words} | {paper:+.2f} | {gap} | {verdict} |')
    if not compared:
        return ''
    if not shows_order:
        return '\n'.join(lines)
    both = [key for key in theirs if not math.isnan(ours[key])]
    words = f'{agreeing} of {compared} statements of the table hold here.'
    if noise:
        words += (
            f' Rows with several seeds vary so much that a difference below {noise:.2f} between '
            f'single runs is noise; {sure} of the {compared} are larger.'
        )
    if len(both) > 2 and len({ours[key] for key in both}) > 1:
        rank = spearmanr([theirs[key] for key in both], [ours[key] for key in both]).statistic
        words += f' Rank correlation of the rows (Spearman): {rank:+.2f}.'
    return '\n'.join([*lines, '', words])


def _tracking(rows: Sequence[Row], results: Sequence[dict[str, Any]]) -> str:
    names = ('mota', 'switches', 'fragmentations', 'false_positives', 'false_negatives')
    lines = ['| row | MOTA % | switches | fragmentations | FP | FN |', '|---|---|---|---|---|---|']
    for row, result in zip(rows, results, strict=True):
        if row.key not in (*TRACKING, 'original', 'compact'):
            continue
        single = _single(result)
        cells = [_number(single.get('mota'), 100.0)]
        cells += [_number(single.get(name), 1.0, 0) for name in names[1:]]
        lines.append(f'| {row.title} | {" | ".join(cells)} |')
        if row.key in TRACKING:
            paper = TRACKING[row.key]
            numbers = ' | '.join(f'{paper[name]:g}' for name in names)
            lines.append(f'| *{row.title}, paper* | {numbers} |')
    return '\n'.join(lines)


def _single(result: dict[str, Any]) -> dict[str, Any]:
    for part in result['scores'].get(TRUE, {}).get('parts', []):
        if (part['family'], part['name']) == ('vehicles', '1'):
            return part['tracking']
    return {}


def _ranks(rows: Sequence[Row], results: Sequence[dict[str, Any]]) -> dict[str, str]:
    keys = [row.key for row in rows if row.paper is not None]
    theirs = rankdata([-row.paper.map for row in rows if row.paper is not None], 'min')
    averages = _averages(rows, results)
    ours = rankdata([-averages[key] for key in keys], 'min', nan_policy='omit')
    return {
        key: f'{int(paper)}, {"-" if math.isnan(its) else int(its)}'
        for key, paper, its in zip(keys, theirs, ours, strict=True)
    }


def _averages(rows: Sequence[Row], results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Each row's mAP@Avg in per cent, against the fused labels."""
    values = {}
    for row, result in zip(rows, results, strict=True):
        value = _detection(result, FUSED).get('map')
        values[row.key] = math.nan if value is None else 100 * value
    return values


def _per_cent(of_row: Sequence[dict[str, Any]], kind: str, name: str) -> list[float]:
    """A figure of a row's runs, of those that have it."""
    values = [_detection(result, kind).get(name) for result in of_row]
    return [100 * value for value in values if value is not None]


def _detection(result: dict[str, Any], kind: str) -> dict[str, Any]:
    return result['scores'].get(kind, {}).get('detection', {})


def _join(numbers: dict[str, Any], names: Sequence[str], factor: float = 100.0) -> str:
    return ' / '.join(_number(numbers.get(name), factor) for name in names)


def _number(value: float | None, factor: float, digits: int = 2) -> str:
    return '-' if value is None else f'{factor * value:.{digits}f}'
