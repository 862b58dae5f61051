"""Score models for any array with and without the vehicle's speed and the air temperature.

    python tools/speed_in_steering.py WINDOWS RUN [RUN]

WINDOWS is a set of exactly rendered validation windows (`avdet sim windows --arrays drawn`), RUN
the folder of a run of `avdet train any-array` or a model file. A wave passes an array that moves
with speed V at c + V cos(azimuth). The speed is the simulated one at the middle of each window, c
that of its air. With a second RUN, its gain over the first is printed too: the central 95 per cent
of a bootstrap over drives, with both on the same drives.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import sys

from averaged_runs import windows_of
import numpy as np
from rich.progress import track

from avdet_ros.training.any_array.fitting.start_weights import read_start_weights
from avdet_ros.training.any_array.fitting.validation import FoundInWindow, found_in, scores_of
from avdet_ros.training.any_array.windows.augmentation import NO_AUGMENTATION
from avdet_ros.training.any_array.windows.store import ArrayStore

FAST_MPS, RESAMPLES = 15.0, 100
WORDS = ('bearing_ap', 'bearing_recall', 'azimuth_error_deg', 'ap50')

KNOWLEDGE = {
    'nothing known': NO_AUGMENTATION,
    'speed known': replace(NO_AUGMENTATION, motion=1.0),
    'speed and temperature known': replace(NO_AUGMENTATION, motion=1.0, air=1.0),
}


class Part:
    """Some windows of a store, with the interface that `scores_of` uses."""

    def __init__(self, store: ArrayStore, rows: np.ndarray) -> None:
        """Store the (N,) row numbers."""
        self._store, self._rows = store, rows

    def column(self, name: str) -> np.ndarray:
        """Return the values of these windows."""
        return self._store.column(name)[self._rows]


def scores(found: list[FoundInWindow], store: ArrayStore, rows: np.ndarray) -> np.ndarray:
    """Return the scores of some windows, (4,), in the order of `WORDS`."""
    values = scores_of([found[row] for row in rows], Part(store, rows))
    return np.array([values[word] for word in WORDS])


def gain(before: list[FoundInWindow], after: list[FoundInWindow], store: ArrayStore) -> np.ndarray:
    """Return percentiles 2.5 and 97.5 of the gain, (2, 4), by a bootstrap over drives."""
    rng, seeds = np.random.default_rng(0), store.column('seed')
    rows_of = [np.flatnonzero(seeds == seed) for seed in np.unique(seeds)]
    gains = []
    for _ in track(range(RESAMPLES), 'resampling drives'):
        rows = np.concatenate([rows_of[k] for k in rng.integers(0, len(rows_of), len(rows_of))])
        gains.append(scores(after, store, rows) - scores(before, store, rows))
    return np.percentile(gains, [2.5, 97.5], axis=0)


def main(folder: Path, *runs: Path) -> None:
    """Print the scores for each entry of `KNOWLEDGE`, for all, fast and slow windows."""
    networks = [read_start_weights(run).network().eval() for run in runs]
    store = windows_of(folder, networks[0].shape)
    fast = store.column('ahead_mps') > FAST_MPS
    parts = {'all': np.arange(len(fast)), 'fast': fast.nonzero()[0], 'slow': (~fast).nonzero()[0]}
    for name, augmentation in KNOWLEDGE.items():
        found = []
        for run, network in zip(runs, networks, strict=True):
            found.append(found_in(network, store, augmentation=augmentation))
            for part, rows in parts.items():
                words = zip(WORDS, scores(found[-1], store, rows), strict=True)
                text = ', '.join(f'{word} {value:.3f}' for word, value in words)
                print(f'{name}, {part} ({len(rows)} windows), {run}: {text}', flush=True)
        if len(runs) == 2:
            ends = zip(WORDS, *gain(*found, store), strict=True)
            print(', '.join(f'{word} {low:+.3f} to {high:+.3f}' for word, low, high in ends))


if __name__ == '__main__':
    main(*map(Path, sys.argv[1:4]))
