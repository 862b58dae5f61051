"""The page of `avdet train reproduce`: our figures, the paper's, and whether the order agrees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from avdet_ros.evaluation.runs.on_dataset import FUSED, TRUE
from avdet_ros.training.studies.paper_rows import TRACKING, Row, Scale
from avdet_ros.training.studies.row_order import Runs, figures, order, pairs, ranks

_HOW = """\
All values are in per cent; @Avg is the average over IoU 0.50 to 0.95. *Fused* is measured against
one ground truth for all rows: the fused boxes of all teachers, as in the paper. *True* is measured
against the simulator's boxes, where the data have them. CDx and CDy are for matched boxes with a
score of at least 0.3; "-" means that there are none. For a row with several seeds, every figure is
the average over the seeds. Ranks are among the rows of the paper, by mAP@Avg."""

_HOW_TRACKED = """\
Measured against true boxes, for seed 0. The rows in italics are from the paper's Table 3. They are
from another data set, so only the direction of a difference can agree."""

_NOT_HERE = """\
The paper's Table 1 also has 2M-DistillNet with RGB, depth or thermal (57.25, 55.41, 56.70) and
MM-DistillNet Avg (51.63). Nominally these are the set-ups of M1 and Avg MTA, but the figures
contradict those rows; we do not run them twice. Where the paper leaves a weight open (ranking,
pairwise, AFD), we set it to 1."""

_HEAD = """\
| row | teachers | loss | pretext | paper: @Avg / 0.5 / 0.75 | fused: @Avg / 0.5 / 0.75 \
| fused: CDx / CDy | true: @Avg / 0.5 | rank: paper, ours |
|---|---|---|---|---|---|---|---|---|"""


def write_table(
    path: Path,
    rows: Sequence[Row],
    results: Sequence[Runs],
    scale: Scale,
    about: dict[str, str],
) -> Path:
    """Write the results as a Markdown page.

    Args:
        path: the Markdown file.
        rows: rows in the order of the table.
        results: results of each row and seed, see `reproduce.run_row`.
        scale: scale of the results.
        about: command, data, commit, torch and device.
    """
    parts = [
        f'# The tables of the paper, at scale {scale.name}',
        f'    {about["command"]}' if about['command'] else '',
        f'**What this is worth.** {scale.reading}',
        _amounts(rows, results, about),
        '## mAP',
        _HOW,
        _main_table(rows, results, scale.shows_order),
        _seeds(rows, results),
        order(rows, results, scale.shows_order),
        pairs(rows, results) if scale.shows_order else '',
        '## Tracking, frames with a single vehicle',
        _HOW_TRACKED,
        _tracking(rows, [of_row[0] for of_row in results]),
        '## Not in the table',
        _NOT_HERE,
    ]
    path.write_text('\n\n'.join(part for part in parts if part) + '\n', encoding='utf-8')
    return path


def _amounts(rows: Sequence[Row], every: Sequence[Runs], about: dict[str, str]) -> str:
    first = every[0][0]
    frames = {kind: scores['detection']['frames'] for kind, scores in first['scores'].items()}
    boxes = {kind: scores['detection']['boxes'] for kind, scores in first['scores'].items()}
    tested = ' and '.join(f'{boxes[kind]} {kind}' for kind in frames)
    minutes = [result['fit']['minutes'] for of_row in every for result in of_row]
    taught = [of_row[0] for row, of_row in zip(rows, every, strict=True) if row.labels != 'truth']
    drawn = max((result['labels'] for result in taught), default=0)
    return (
        f'Each student was trained on {first["fit"]["windows"]} windows, in which the teachers '
        f'drew up to {drawn} boxes. The test has {max(frames.values())} frames with {tested}. '
        f'Training all {len(minutes)} students took {sum(minutes):.0f} minutes '
        f'({about["device"]}, torch {about["torch"]}). Data: {about["data"]}. '
        f'Commit {about["commit"][:10] or "unknown"}.'
    )


def _main_table(rows: Sequence[Row], every: Sequence[Runs], shows_order: bool) -> str:
    lines = [_HEAD]
    places = ranks(rows, every) if shows_order else {}
    for row, of_row in zip(rows, every, strict=True):
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
            _join(of_row, FUSED, ('map', 'map50', 'map75')),
            _join(of_row, FUSED, ('cdx', 'cdy'), 0.01),
            _join(of_row, TRUE, ('map', 'map50')),
            places.get(row.key, '-'),
        )
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _seeds(rows: Sequence[Row], every: Sequence[Runs]) -> str:
    """Return a table of mean and standard deviation of the rows with several seeds."""
    lines = []
    for row, of_row in zip(rows, every, strict=True):
        if len(of_row) < 2:
            continue
        cells = [row.title, str(len(of_row))]
        for kind in (FUSED, TRUE):
            for name in ('map', 'map50'):
                known = figures(of_row, kind, name)
                several = len(known) > 1
                cells.append(f'{mean(known):.2f} ± {stdev(known):.2f}' if several else '-')
        lines.append(f'| {" | ".join(cells)} |')
    if not lines:
        return ''
    head = (
        '| row | seeds | fused: @Avg | fused: @0.5 | true: @Avg | true: @0.5 |',
        '|---|---|---|---|---|---|',
    )
    words = 'Mean and standard deviation over the seeds, in per cent.'
    return '\n'.join(['### Over several seeds', '', words, '', *head, *lines])


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


def _join(of_row: Runs, kind: str, names: Sequence[str], factor: float = 1.0) -> str:
    known = [figures(of_row, kind, name) for name in names]
    return ' / '.join(_number(mean(values) if values else None, factor) for values in known)


def _number(value: float | None, factor: float, digits: int = 2) -> str:
    return '-' if value is None else f'{factor * value:.{digits}f}'
