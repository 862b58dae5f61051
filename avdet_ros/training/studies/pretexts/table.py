"""The page of the comparison of pretexts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from avdet_ros.files import write_atomically
from avdet_ros.training.studies.pretexts.rows import ALL, FEW, FROZEN_AT, MORE

_HEAD = """\
| row | 1 %: direction, mAP | 10 %: direction, mAP | 100 %: direction, mAP | head alone, 10 % \
| error, p50 / p90 deg | went on |
|---|---|---|---|---|---|---|"""

_HOW = """\
The scores are the average precision of directions within 5 degrees and the mAP at IoU 0.5, in per
cent on test windows, with mean and half the range of the seeds. Students are trained on the labels
of 1, 10 or 100 % of the drives, drawn by the seed. The pretexts are trained on all training
windows: *masked_channels* and *contrastive* on sound alone, the others also on the boxes or
pictures of all drives, which teachers provide at no cost. *none, longer* trains on boxes for as
many additional steps as a pretext has. *Head alone* is direction with the encoder frozen after the
pretext (*none*: with random weights). Errors are those of the directions found with 10 % of the
drives. A row went on to 100 % if, with 1 and with 10 %, its directions beat those of *none,
longer* by more than the seeds' range; for the other rows, no difference was seen."""


def write_page(path: Path, results: dict[str, Any]) -> Path:
    """Write the tables.

    Args:
        path: the Markdown file.
        results: see `study.Comparison.results`.
    """
    text = f'# Pretexts, at scale {results["scale"]}\n\n{section(results)}\n'
    with write_atomically(path) as file:
        file.write(text.encode())
    return path


def section(results: dict[str, Any]) -> str:
    """Return the table, what each pretext learned, and what was left out, in Markdown."""
    rows = list(dict.fromkeys(run['row'] for run in results['runs']))
    lines = [
        f'`{results["command"]}`',
        '',
        _HOW,
        '',
        f'Student {results["student"]}, labels: {results["labels"]}.',
        '',
        _HEAD,
        *(_line(row, results) for row in rows),
    ]
    for title, found in (
        ('What the pretexts learned:', results['about'].values()),
        ('Left out, and why:', results['lacking'].values()),
        (
            'Not decided, because not every seed was run with 1 and with 10 %:',
            [', '.join(results['waiting'])] if results['waiting'] else [],
        ),
    ):
        if found:
            lines += ['', title, '', *(f'- {one}' for one in found)]
    return '\n'.join(lines)


def _line(row: str, results: dict[str, Any]) -> str:
    def of(share: float, name: str, freeze: bool = False) -> list[float | None]:
        return [
            run[name]
            for run in results['runs']
            if (run['row'], run['share'], run['freeze']) == (row, share, freeze)
        ]

    cells = [row]
    for share in (FEW, MORE, ALL):
        cells.append(f'{per_cent(of(share, "direction"))}, {per_cent(of(share, "map50"))}')
    cells.append(per_cent(of(FROZEN_AT, 'direction', freeze=True)))
    cells.append(' / '.join(_plain(of(MORE, name)) for name in ('p50_deg', 'p90_deg')))
    undecided = row.startswith('none') or row in results['waiting']
    cells.append('-' if undecided else 'no' if row in results['stopped'] else 'yes')
    return f'| {" | ".join(cells)} |'


def per_cent(values: Sequence[float | None]) -> str:
    """Format mean and half the range in per cent; "-" if nothing was run or is defined."""
    known = [100 * value for value in values if value is not None]
    if not known:
        return '-'
    text = f'{mean(known):.1f}'
    return text + f' ± {(max(known) - min(known)) / 2:.1f}' if len(known) > 1 else text


def _plain(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f'{mean(known):.1f}' if known else '-'
