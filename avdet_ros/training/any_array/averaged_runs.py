"""One model from several runs that began with the same weights: the mean of theirs.

Fittings that begin alike and differ in their seed end in one valley of the loss, and the mean of
their weights lies lower in it than each of them (M. Wortsman et al., "Model soups: averaging
weights of multiple fine-tuned models improves accuracy without increasing inference time", ICML
2022). Nothing is learned anew, and the network is as large and as fast as one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
import logging
from pathlib import Path

import torch
from torch import Tensor

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error, write_atomically
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.any_array.fitting.best_epoch import BestEpoch, read_best
from avdet_ros.training.any_array.fitting.fit_state import validation_score
from avdet_ros.training.any_array.fitting.run_file import BEST
from avdet_ros.training.any_array.fitting.start_weights import (
    StartWeights,
    check_same_shape,
    joined_ranges,
)
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of
from avdet_ros.training.any_array.run import AnyArrayRun, export_best

_logger = logging.getLogger(__name__)


def average_runs(runs: Sequence[Path], run: AnyArrayRun, progress: Progress = SILENT) -> Path:
    """Average the best epochs of runs, score the mean beside them, export it.

    Args:
        runs: folders of at least two runs.
        run: validation windows, folder for the mean, and device; training windows, plan and
            sizes are those of the runs.
        progress: shows how far it is.

    Returns:
        The model file.

    Raises:
        AvdetError: fewer than two runs, runs of other networks or labels, the mean hears less
            than each of them (they did not begin alike), or the folder cannot be written.
    """
    if len(runs) < 2:
        raise AvdetError(f'runs: expected at least two to average, found {len(runs)}')
    parts = [read_best(folder) for folder in runs]
    for folder, part in zip(runs[1:], parts[1:], strict=True):
        check_same_shape(folder, part.start.shape, parts[0].start.shape)
        if part.labels_at != parts[0].labels_at:
            raise AvdetError(
                f'{folder}: expected labels at the {parts[0].labels_at} of the window as '
                f'{runs[0]} has, found {part.labels_at}'
            )
    run = replace(run, shape=parts[0].start.shape, labels_at=parts[0].labels_at)
    val = run.store(run.val, run.most_val)
    with progress.step('reading windows', total=None):
        val.refresh()
    mean = mean_of(parts)
    rows = []
    with progress.step('validation', total=len(parts) + 1) as advance:
        for weights in (*(part.start for part in parts), mean):
            network = weights.network().to(run.device)
            rows.append(scores_of(found_in(network, val), val))
            advance()
    for name, row in zip([*map(str, runs), 'their mean'], rows, strict=True):
        _logger.info(
            f'{name}: bearing AP {row["bearing_ap"]:.4f}, recall {row["bearing_recall"]:.3f}, '
            f'AP50 {row["ap50"]:.4f}, azimuth {row["azimuth_error_deg"]:.2f} deg'
        )
    least, found = min(map(validation_score, rows[:-1])), validation_score(rows[-1])
    if found < least:
        raise AvdetError(
            f'runs: expected such that began with the same weights, found a mean that scores '
            f'{found:.3f} where the least of them has {least:.3f}'
        )
    names = [folder.name for folder in runs]
    _write(run, mean, parts, names, rows[-1])
    return export_best(replace(run, about=f'each of {", ".join(names)}'), val)


def mean_of(parts: Sequence[BestEpoch]) -> StartWeights:
    """The mean of weights and of the statistics of batch normalisation; counts are the first's."""
    first, ranges = parts[0].start, parts[0].start.ranges
    for part in parts[1:]:
        if part.start.ranges is not None:
            ranges = joined_ranges(ranges, part.start.ranges)
    weights: dict[str, Tensor] = {}
    for name, value in first.weights.items():
        if value.is_floating_point():
            value = torch.stack([part.start.weights[name] for part in parts]).mean(dim=0)
        weights[name] = value
    return StartWeights(first.shape, weights, ranges)


def _write(
    run: AnyArrayRun,
    mean: StartWeights,
    parts: Sequence[BestEpoch],
    names: Sequence[str],
    row: dict[str, float],
) -> None:
    """``best.pt`` of the mean, as a run has it."""
    windows = max(part.row['training_windows'] for part in parts)
    saved = {
        'shape': asdict(mean.shape),
        'plan': {
            **parts[0].plan,
            'start_from': Path(parts[0].plan['start_from']).name,
            'averaged': list(names),
        },
        'ranges': None if mean.ranges is None else asdict(mean.ranges),
        'labels_at': run.labels_at,
        'row': {**row, 'training_windows': windows},
        'network': mean.weights,
    }
    try:
        run.out.mkdir(parents=True, exist_ok=True)
        with write_atomically(run.out / BEST) as file:
            torch.save(saved, file)
    except OSError as error:
        raise AvdetError(f'cannot write into {run.out}: {explain_os_error(error)}') from error
