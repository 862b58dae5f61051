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

from averaged_runs import windows_of
import numpy as np
import torch
from weights_between import read

from avdet_ros.training.any_array.doubts import heard_near

RIGHT_DEG, EDGE_DEG, VISIBLE = 3.0, 2.0, 0.25
THRESHOLDS = (0.0, 0.03, 0.1, 0.2, 0.3, 0.5)


def judged(seen: dict[str, np.ndarray], true: dict[str, np.ndarray]) -> Iterator[tuple]:
    """Window, label and whether it is right, of a shard's sure labels."""
    for row in range(len(seen['seed'])):
        free = list(true['azimuth_deg'][row, : true['count'][row]])
        for label in range(seen['count'][row]):
            if seen['unsure'][row, label]:
                continue
            azimuth = seen['azimuth_deg'][row, label]
            near = min(free, key=lambda vehicle: abs(vehicle - azimuth), default=np.inf)
            right = abs(near - azimuth) < RIGHT_DEG
            if right:
                free.remove(near)
            yield row, label, right


def vehicles_in_view(seen: dict[str, np.ndarray], true: dict[str, np.ndarray]) -> int:
    """How many vehicles of a shard can be heard and seen."""
    low, high = np.sort(seen['seen_deg'], axis=1).T[..., None]
    azimuth = true['azimuth_deg']
    inside = (low + EDGE_DEG < azimuth) & (azimuth < high - EDGE_DEG)
    labelled = np.arange(azimuth.shape[1]) < true['count'][:, None]
    return int((labelled & inside & (true['visible_fraction'] >= VISIBLE)).sum())


def without_features(path: Path) -> dict[str, np.ndarray]:
    """A shard without its features."""
    with np.load(path) as shard:
        return {name: shard[name] for name in shard.files if name != 'features'}


def main(truth: Path, labelled: Path, model: Path) -> None:
    """Judge all labels, print the table."""
    torch.set_num_threads(1)
    network = read(model)
    store = windows_of(labelled, network.shape)
    heard = heard_near(network, store).numpy()
    rows, vehicles, first = [], 0, 0
    for path in sorted(labelled.glob('windows_*.npz')):
        seen, true = without_features(path), without_features(truth / path.name)
        rows += [(heard[first + row, label], right) for row, label, right in judged(seen, true)]
        vehicles += vehicles_in_view(seen, true)
        first += len(seen['seed'])
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
    main(*map(Path, sys.argv[1:]))
