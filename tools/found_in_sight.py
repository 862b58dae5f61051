"""Measure the share of vehicles found in other windows, at the threshold of ordinary ones.

    python tools/found_in_sight.py WINDOWS OTHERS MODEL [MODEL ...]

WINDOWS and OTHERS are sets of validation windows (`avdet sim windows --arrays drawn`), the second
one with ``--world corners`` or ``--idling``, MODEL a model file or the folder of a run. The
threshold is the one with one false bearing in ten windows of WINDOWS. For the labels of OTHERS
that a camera would see (at least 0.3 of the box), and for the hidden ones (below 0.05), the tool
prints the share with a bearing within 3 and within 10 degrees.
"""

from __future__ import annotations

from pathlib import Path
import sys

from averaged_runs import windows_of
import numpy as np
from weights_between import read

from avdet_ros.evaluation.bearings.early_vehicles import HIDDEN, SEEN
from avdet_ros.evaluation.bearings.metrics import match_window, operating_point
from avdet_ros.training.any_array.fitting.validation import (
    WITHIN_DEG,
    FoundInWindow,
    found_in,
    matched_bearings,
    sure_labels,
)
from avdet_ros.training.any_array.windows.store import ArrayStore

ROUGHLY_DEG = 10.0
HEAD = (
    '| | threshold | seen: labels | within 3° | within 10° | hidden: labels | within 3° | '
    'within 10° | false a window |\n|---|' + '--:|' * 8
)


def azimuths(store: ArrayStore) -> list[np.ndarray]:
    """Return the azimuths of each window's sure labels, (M,), degrees."""
    angles = store.column('angles_deg')
    return [row[mask, 0] for row, mask in zip(angles, sure_labels(store), strict=True)]


def shares(found: list[FoundInWindow], store: ArrayStore, limit: float) -> list[float]:
    """Return seen labels, shares found within 3° and 10°; the same hidden; false per window."""
    visible, sure, truth = store.column('visible_fraction'), sure_labels(store), azimuths(store)
    hits: dict[float, list[np.ndarray]] = {WITHIN_DEG: [], ROUGHLY_DEG: []}
    false = 0
    for window, true_deg in zip(found, truth, strict=True):
        bearings = window.angles_deg[window.logits >= limit, 0]
        for within, list_ in hits.items():
            label = match_window(bearings, true_deg, within)
            list_.append(np.isin(np.arange(len(true_deg)), label))
            false += int((label < 0).sum()) if within == WITHIN_DEG else 0
    share = np.concatenate([row[mask] for row, mask in zip(visible, sure, strict=True)])
    every = {within: np.concatenate(list_) for within, list_ in hits.items()}
    cells = []
    for mask in (share >= SEEN, share < HIDDEN):
        cells += [float(mask.sum()), *(float(hit[mask].mean()) for hit in every.values())]
    return [*cells, false / len(found)]


def main(windows: Path, others: Path, *models: Path) -> None:
    """Print the table."""
    networks = {model: read(model) for model in models}
    shape = networks[models[0]].shape
    store, other = (windows_of(folder, shape) for folder in (windows, others))
    print(HEAD)
    for model, network in networks.items():
        limit = operating_point(matched_bearings(found_in(network, store), store)).threshold
        seen, near, roughly, hidden, *rest = shares(found_in(network, other), other, limit)
        numbers = f'{seen:.0f} | {near:.3f} | {roughly:.3f} | {hidden:.0f} | '
        numbers += ' | '.join(f'{number:.3f}' for number in rest)
        print(f'| {model} | {limit:.2f} | {numbers} |', flush=True)


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
