"""Count the teachers' labels that are on audible vehicles, by what a model predicts near them.

    python tools/doubted_labels.py WINDOWS LABELLED MODEL

WINDOWS are simulated windows (`avdet sim windows --arrays drawn`), LABELLED some of them with
labels of teachers (RUN/windows/train of a run by config/recipes/any_array_teachers.yaml), MODEL a
model file for any array or a run. A label is right if it is the box of an audible vehicle: its
centre within one degree, or a third of its width, of the true one, and its width within a factor
of 1.65. For several thresholds of presence, the tool judges the labels near which the model's
presence is above the threshold, and the labels that bearings above the threshold take
(`training/any_array/doubts.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import sys

from averaged_runs import windows_of
import numpy as np
import torch
from weights_between import read

from avdet_ros.training.any_array.boxes import columns_deg
from avdet_ros.training.any_array.doubts import near_labels, taken_labels, vehicle_probabilities

NEAR_DEG, NEAR_WIDTHS, ALIKE = 1.0, 1 / 3, 0.5
EDGE_DEG, VISIBLE = 2.0, 0.25
BOX = ('azimuth_deg', 'width_deg')
THRESHOLDS = (0.0, 0.2, 0.3, 0.4, 0.5)


def judged(seen: dict[str, np.ndarray], true: dict[str, np.ndarray]) -> Iterator[tuple]:
    """Yield window, label and whether it is right, for a shard's sure labels."""
    for row in range(len(seen['seed'])):
        vehicles = slice(true['count'][row])
        azimuth_deg, width_deg = (true[name][row, vehicles] for name in BOX)
        for label in np.flatnonzero(~seen['unsure'][row, : seen['count'][row]]):
            middle_deg, wide_deg = (seen[name][row, label] for name in BOX)
            near = np.abs(azimuth_deg - middle_deg) < max(NEAR_DEG, NEAR_WIDTHS * wide_deg)
            alike = np.abs(np.log(width_deg / wide_deg)) < ALIKE
            yield row, label, bool((near & alike).any())


def vehicles_in_view(seen: dict[str, np.ndarray], true: dict[str, np.ndarray]) -> int:
    """Count the vehicles of a shard that are audible and visible."""
    low, high = np.sort(seen['seen_deg'], axis=1).T[..., None]
    azimuth = true['azimuth_deg']
    inside = (low + EDGE_DEG < azimuth) & (azimuth < high - EDGE_DEG)
    labelled = np.arange(azimuth.shape[1]) < true['count'][:, None]
    return int((labelled & inside & (true['visible_fraction'] >= VISIBLE)).sum())


def without_features(path: Path) -> dict[str, np.ndarray]:
    """Read a shard without its features."""
    with np.load(path) as shard:
        return {name: shard[name] for name in shard.files if name != 'features'}


def main(truth: Path, labelled: Path, model: Path) -> None:
    """Judge all labels and print the table."""
    torch.set_num_threads(1)
    network = read(model)
    store = windows_of(labelled, network.shape)
    centres = columns_deg(network.shape, store.device)
    nearest, taken = [], []
    for _, labels, presence in vehicle_probabilities(
        network, store, torch.arange(len(store)).split(128)
    ):
        near = near_labels(labels, centres)
        nearest.append(torch.where(near, presence[:, None], 0.0).amax(dim=-1))
        taken.append([taken_labels(presence, labels, near, least) for least in THRESHOLDS])
    sure = torch.cat(nearest).numpy()
    rules = [torch.cat(masks).numpy() for masks in zip(*taken, strict=True)]
    rows, columns, right, vehicles, first = [], [], [], 0, 0
    for path in sorted(labelled.glob('windows_*.npz')):
        seen, true = without_features(path), without_features(truth / path.name)
        for row, label, is_right in judged(seen, true):
            rows.append(first + row)
            columns.append(label)
            right.append(is_right)
        vehicles += vehicles_in_view(seen, true)
        first += len(seen['seed'])
    print(
        '| from | near: labels | right | of those found | taken: labels | right | of those found |'
    )
    print('|--:|--:|--:|--:|--:|--:|--:|')
    for least, takes in zip(THRESHOLDS, rules, strict=True):
        cells = [f'{least:g}']
        for kept in (sure[rows, columns] >= least, takes[rows, columns]):
            good = np.array(right)[kept]
            cells += [f'{kept.sum()}', f'{good.mean():.3f}', f'{good.sum() / vehicles:.3f}']
        print(f'| {" | ".join(cells)} |')


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
