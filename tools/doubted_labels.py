"""How many of the teachers' labels are on vehicles that can be heard, by what a model hears there.

    python tools/doubted_labels.py WINDOWS LABELLED MODEL

WINDOWS are simulated windows (`avdet sim windows --arrays drawn`), LABELLED some of them with
what teachers saw (RUN/windows/train of a run by config/recipes/any_array_teachers.yaml), MODEL a
model file for any array or a run. A label is right if a label of the simulator, a vehicle that can
be heard, lies within 3 degrees; `training/any_array/doubts.py` leaves labels open near which the
model says less than its threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import sys

import numpy as np
import torch

from avdet_ros.training.any_array.doubts import heard_near
from avdet_ros.training.any_array.fitting.start_weights import read_start_weights
from avdet_ros.training.any_array.run import AnyArrayRun

RIGHT_DEG, EDGE_DEG, VISIBLE = 3.0, 2.0, 0.25
THRESHOLDS = (0.0, 0.03, 0.1, 0.2, 0.3, 0.5)


def judged(labelled: Path, truth: Path) -> Iterator[tuple[int, int, bool]]:
    """Window, label and whether it is right, of a shard's sure labels; label -1: a vehicle."""
    with np.load(labelled) as seen, np.load(truth) as true:
        seen, true = dict(seen), dict(true)
    for row in range(len(seen['seed'])):
        low, high = np.sort(seen['seen_deg'][row]) + [EDGE_DEG, -EDGE_DEG]
        vehicles = true['azimuth_deg'][row, : true['count'][row]]
        shown = true['visible_fraction'][row, : len(vehicles)] >= VISIBLE
        inside = shown & (low < vehicles) & (vehicles < high)
        yield from ((row, -1, True) for _ in range(inside.sum()))
        free = set(range(len(vehicles)))
        for label in range(seen['count'][row]):
            if seen['unsure'][row, label]:
                continue
            apart = {k: abs(vehicles[k] - seen['azimuth_deg'][row, label]) for k in free}
            near = min(apart, key=apart.__getitem__, default=None)
            right = near is not None and apart[near] < RIGHT_DEG
            if right:
                free.discard(near)
            yield row, label, right


def main(truth: Path, labelled: Path, model: str) -> None:
    """Judge all labels, print the table."""
    torch.set_num_threads(1)
    start = read_start_weights(model)
    run = AnyArrayRun(labelled, labelled, labelled, shape=start.shape)
    store = run.store(labelled, None)
    store.refresh()
    heard = heard_near(start.network(), store).numpy()
    rows, vehicles, first = [], 0, 0
    for path in sorted(labelled.glob('windows_*.npz')):
        found = list(judged(path, truth / path.name))
        vehicles += sum(label < 0 for _, label, _ in found)
        rows += [(heard[first + row, label], right) for row, label, right in found if label >= 0]
        with np.load(path) as shard:
            first += len(shard['seed'])
    says, right = np.array(rows, float).T
    print('| left open below | labels | on vehicles that can be heard | of those found |')
    print('|--:|--:|--:|--:|')
    for threshold in THRESHOLDS:
        kept = says >= threshold
        found = right[kept].sum() / vehicles
        print(f'| {threshold:g} | {kept.sum()} | {right[kept].mean():.3f} | {found:.3f} |')


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
