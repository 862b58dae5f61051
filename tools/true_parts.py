"""Score boxes with one part replaced by the truth, to find what a model for any array lacks.

    python tools/true_parts.py MODEL WINDOWS [WINDOWS ...]

MODEL is a model file or the folder of a run (its last epoch), WINDOWS sets of validation windows
(`avdet sim windows --arrays drawn`). For each bearing within 3 degrees of a vehicle, likeliest
first, azimuth, elevation, width or height are replaced by those of the vehicle's true box; scores
and all other boxes stay. The tool also prints the errors of matched boxes, by range.
"""

from __future__ import annotations

from pathlib import Path
import sys

from averaged_runs import windows_of
import numpy as np
from speed_in_steering import Part
import torch
from weights_between import parts_of, read

from avdet_ros.evaluation.bearings.metrics import match_window
from avdet_ros.training.any_array.boxes import plane_boxes
from avdet_ros.training.any_array.fitting.validation import (
    WITHIN_DEG,
    FoundInWindow,
    box_precision,
    found_in,
    sure_labels,
)

AZIMUTH, ELEVATION, WIDTH, HEIGHT = range(4)

PARTS = {
    'as it is': (),
    'azimuth': (AZIMUTH,),
    'elevation': (ELEVATION,),
    'width': (WIDTH,),
    'height': (HEIGHT,),
    'size': (WIDTH, HEIGHT),
    'elevation and size': (ELEVATION, WIDTH, HEIGHT),
    'all of the box': (AZIMUTH, ELEVATION, WIDTH, HEIGHT),
}

RANGES_M = ((0, 10), (10, 20), (20, 40), (40, 70))


def matched(found_deg: np.ndarray, true_deg: np.ndarray) -> np.ndarray:
    """Match (N, 4) boxes, likeliest first, to (M, 4) vehicles: (N,) indices, -1 for none."""
    return match_window(found_deg[:, AZIMUTH], true_deg[:, AZIMUTH], WITHIN_DEG)


def corrected(
    window: FoundInWindow, true_deg: np.ndarray, parts: tuple[int, ...]
) -> FoundInWindow:
    """Replace parts of the matched boxes by the truth."""
    angles, owner = window.angles_deg.copy(), matched(window.angles_deg, true_deg)
    rows = np.flatnonzero(owner >= 0)
    for part in parts:
        angles[rows, part] = true_deg[owner[rows], part]
    boxes = plane_boxes(torch.from_numpy(angles)).numpy()
    return FoundInWindow(angles, window.logits, window.range_m, boxes)


def errors(
    found: list[FoundInWindow], true_deg: list[np.ndarray], range_m: list[np.ndarray]
) -> str:
    """Return the rows of the table of errors of matched boxes, by range."""
    rows = []
    for window, truth, metres in zip(found, true_deg, range_m, strict=True):
        owner = matched(window.angles_deg, truth)
        for place in np.flatnonzero(owner >= 0):
            predicted, true = window.angles_deg[place], truth[owner[place]]
            rows.append(
                [
                    metres[owner[place]],
                    abs(predicted[AZIMUTH] - true[AZIMUTH]) / true[WIDTH],
                    abs(predicted[ELEVATION] - true[ELEVATION]) / true[HEIGHT],
                    abs(np.log(predicted[WIDTH] / true[WIDTH])),
                    abs(np.log(predicted[HEIGHT] / true[HEIGHT])),
                ]
            )
    table = np.array(rows).reshape(-1, 5)
    lines = []
    for low, high in RANGES_M:
        in_range = table[(table[:, 0] >= low) & (table[:, 0] < high)]
        middle = np.median(in_range[:, 1:], axis=0) if len(in_range) else []
        numbers = ' | '.join(f'{value:.2f}' for value in middle) or '- | - | - | -'
        lines.append(f'| {low}-{high} m ({len(in_range)}) | {numbers} |')
    return '\n'.join(lines)


def main(model: Path, *folders: Path) -> None:
    """Print the average precision at IoU 0.5 of each of `PARTS`, and the errors."""
    network = read(model)
    for folder in folders:
        store = windows_of(folder, network.shape)
        found, sure = found_in(network, store), sure_labels(store)
        angles, metres = store.column('angles_deg'), store.column('range_m')
        truth = [row[mask] for row, mask in zip(angles, sure, strict=True)]
        for name, rows in parts_of(folder, store).items():
            for part, places in PARTS.items():
                windows = [corrected(found[row], truth[row], places) for row in rows]
                print(f'| {name} | {part} | {box_precision(windows, Part(store, rows)):.3f} |')
        print('| range | azimuth / width | elevation / height | log width | log height |')
        print(errors(found, truth, [row[mask] for row, mask in zip(metres, sure, strict=True)]))


if __name__ == '__main__':
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
