"""Measure what a model for any array gains from a second pass with a mirrored or turned grid.

    python tools/averaged_columns.py MODEL WINDOWS

MODEL is a model file or the folder of a run of `avdet train any-array`, WINDOWS a set of exactly
rendered validation windows (`avdet sim windows --arrays drawn`). The second pass has the same
spectrogram, but the columns of the steering are in reversed order or turned by half a column. The
predictions of both passes for a vehicle are averaged. The weights are unchanged; inference takes
twice as long.
"""

from __future__ import annotations

from pathlib import Path
import sys

import torch
from torch import Tensor
from weights_between import read

from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.boxes import decoded_angles
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of
from avdet_ros.training.any_array.windows.drawn_steering import SteeringTable
from avdet_ros.training.any_array.windows.shards import front_end_of
from avdet_ros.training.any_array.windows.store import ArrayStore

OFFSET = 1
"""Index of a column's value for the offset of a vehicle to the right of the column's centre."""


class TwoPasses:
    """A network with two passes per window; it expects the windows of a set in order."""

    def __init__(self, network: BearingFirst, second: ArrayStore | None) -> None:
        """Store the network, and the windows with the turned grid; None for the mirrored grid."""
        self._network, self._second, self._next = network, second, 0
        self.shape = network.shape
        self.half = 0.5 * network.shape.column_deg

    def eval(self) -> None:
        """Set the network to evaluation mode."""
        self._network.eval()

    def __call__(self, level_db: Tensor, coherence: Tensor, steering: Tensor) -> Tensor:
        """Return the average of both passes, (B, VALUES, front)."""
        predicted = self._network(level_db, coherence, steering)
        if self._second is None:
            front = self.shape.front
            mirrored = torch.cat(
                [steering[:, :, :front].flip(2), steering[:, :, front:].flip(2)], dim=2
            )
            other = self._network(level_db, coherence, mirrored).flip(2)
            other[:, OFFSET] *= -1
            return (predicted + other) / 2
        rows = torch.arange(self._next, self._next + len(predicted))
        self._next += len(predicted)
        turned = self._network(level_db, coherence, self._second.batch(rows).steering)
        # The column of the turned grid that contains the vehicle of this column.
        azimuth = decoded_angles(predicted.transpose(1, 2), self.shape)[..., 0]
        place = (self.shape.front_deg + self.half - azimuth) / self.shape.column_deg
        index = place.floor().long().clamp(0, self.shape.front - 1)
        other = turned.gather(2, index[:, None].expand_as(turned)).clone()
        columns = torch.arange(self.shape.front)
        other[:, OFFSET] += index - columns - 0.5
        return (predicted + other) / 2


def main(model: Path, folder: Path) -> None:
    """Print the scores of one pass and of two passes."""
    network = read(model)
    table, shape = SteeringTable(front_end_of(folder)), network.shape
    grid = azimuth_grid(shape.front, shape.front_deg, shape.around)
    stores = [ArrayStore(folder, table, grid + part * shape.column_deg) for part in (0.0, 0.5)]
    for store in stores:
        store.refresh()
    for name, looking in (
        ('one pass', network),
        ('with the mirrored grid', TwoPasses(network, None)),
        ('with a grid turned by half a column', TwoPasses(network, stores[1])),
    ):
        scores = scores_of(found_in(looking, stores[0], 32), stores[0])
        words = ('bearing_ap', 'bearing_recall', 'azimuth_error_deg', 'ap50')
        print(
            f'{name} ({len(stores[0])} windows): '
            + ', '.join(f'{word} {scores[word]:.3f}' for word in words),
            flush=True,
        )


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
