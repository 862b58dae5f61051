"""What a model for any array gains if its steering knows the vehicle's speed: a bound.

    python tools/speed_in_steering.py RUN WINDOWS

RUN is the folder of a run of `avdet train any-array` or a model file, WINDOWS a set of exactly
rendered validation windows (`avdet sim windows --arrays drawn`). An array that drives with speed V
towards a wave takes it at c + V cos(azimuth). The speed is the simulated one at the middle of each
window, c that of its air; the weights are as they are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import sys

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.training.any_array.fitting.augmentation import NO_AUGMENTATION
from avdet_ros.training.any_array.fitting.drawn_steering import SteeringTable
from avdet_ros.training.any_array.fitting.start_weights import read_start_weights
from avdet_ros.training.any_array.fitting.store import ArrayStore
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of

FAST_MPS = 15.0


class Part:
    """Some windows of a store, as `scores_of` reads them."""

    def __init__(self, store: ArrayStore, kept: np.ndarray) -> None:
        """Take (N,) bool."""
        self._store, self._kept = store, kept

    def column(self, name: str) -> np.ndarray:
        """Values of these windows."""
        return self._store.column(name)[self._kept]


def main(run: Path, folder: Path) -> None:
    """Print the scores of standing and of moving steering, for slow and fast windows."""
    network = read_start_weights(run).network().eval()
    shape = network.shape
    azimuths = azimuth_grid(shape.front, shape.front_deg, shape.around)
    store = ArrayStore(folder, SteeringTable(FrontEnd()), azimuths)
    store.refresh()
    fast = store.column('ahead_mps') > FAST_MPS
    parts = {'all': fast | True, 'fast': fast, 'slow': ~fast}
    for name, motion, air in (
        ('nothing known', 0.0, 0.0),
        ('speed known', 1.0, 0.0),
        ('speed and temperature known', 1.0, 1.0),
    ):
        told = replace(NO_AUGMENTATION, motion=motion, air=air)
        found = found_in(network, store, augmentation=told)
        for part, kept in parts.items():
            its = [window for window, keep in zip(found, kept, strict=True) if keep]
            scores = scores_of(its, Part(store, kept))
            words = ('bearing_ap', 'bearing_recall', 'azimuth_error_deg', 'ap50')
            print(
                f'{name}, {part} ({kept.sum()} windows): '
                + ', '.join(f'{word} {scores[word]:.3f}' for word in words),
                flush=True,
            )


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
