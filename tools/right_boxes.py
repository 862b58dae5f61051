"""Show which vehicles get a right box: by azimuth, by visible share and by range.

    python tools/right_boxes.py WINDOWS MODEL [MODEL ...]

WINDOWS is a set of validation windows (`avdet sim windows --arrays drawn`), MODEL a model file or
the folder of a run (its last epoch). The most likely boxes of all windows count, half as many as
there are vehicles, so models are compared at an equal number of boxes. For each kind of vehicle
the table has the share that one of these boxes overlaps by IoU 0.5 or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
import sys

from averaged_runs import windows_of
import numpy as np
from weights_between import read

from avdet_ros.evaluation.boxes.metrics import match
from avdet_ros.training.any_array.fitting.validation import (
    FoundInWindow,
    found_in,
    scores_of,
    sure_labels,
    true_boxes,
)

BOXES_A_VEHICLE = 0.5
IOU = 0.5

KINDS = {
    'azimuth, °': (0, 20, 40, 60),
    'visible share': (0, 0.3, 0.9, np.inf),
    'range, m': (0, 10, 20, 40, np.inf),
}
"""Edges of the bins of each property."""


def boxed(found: Sequence[FoundInWindow], true: Sequence[np.ndarray]) -> np.ndarray:
    """Find the vehicles with a right box among the most likely boxes of all windows.

    Args:
        found: detections of each window, most likely first.
        true: (M, 4) boxes of each window.

    Returns:
        (vehicles,) bool, matched as in `match`.
    """
    logits = np.sort(np.concatenate([window.logits for window in found]))[::-1]
    count = round(BOXES_A_VEHICLE * sum(map(len, true)))
    limit = logits[min(count, len(logits)) - 1]
    vehicles = []
    for window, truth in zip(found, true, strict=True):
        matched = match(window.boxes[window.logits >= limit], truth, IOU)
        vehicles.append(np.isin(np.arange(len(truth)), matched))
    return np.concatenate(vehicles)


def main(folder: Path, *models: Path) -> None:
    """Print the table."""
    networks = [read(model) for model in models]
    store = windows_of(folder, networks[0].shape)
    sure, true = sure_labels(store), true_boxes(store)
    properties = (
        np.abs(store.column('angles_deg')[..., 0])[sure],
        store.column('visible_fraction')[sure],
        store.column('range_m')[sure],
    )
    bins = {
        f'{name} {low:g} to {high:g}': (low <= values) & (values < high)
        for (name, edges), values in zip(KINDS.items(), properties, strict=True)
        for low, high in pairwise(edges)
    }
    print(f'| | AP50 | {" | ".join(bins)} |')
    print('|---|' + '--:|' * (1 + len(bins)))
    print(f'| vehicles | | {" | ".join(str(mask.sum()) for mask in bins.values())} |')
    for model, network in zip(models, networks, strict=True):
        found = found_in(network, store)
        has_box = boxed(found, true)
        shares = ' | '.join(f'{has_box[mask].mean():.3f}' for mask in bins.values())
        print(f'| {model} | {scores_of(found, store)["ap50"]:.3f} | {shares} |', flush=True)


if __name__ == '__main__':
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
