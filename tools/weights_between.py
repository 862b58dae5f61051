"""Score networks with weights between those of a model and of a run fine-tuned from it.

    python tools/weights_between.py MODEL RUN WINDOWS [WINDOWS ...]

Fine-tuning on something new forgets some of the old; weights in between may keep more of both than
an interpolation of the scores suggests (M. Wortsman et al., "Robust fine-tuning of zero-shot
models", CVPR 2022). MODEL and RUN are model files or folders of runs (their last epoch), WINDOWS
sets of validation windows; drives whose vehicles play recordings are scored separately.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import sys

from averaged_runs import mean_of, windows_of
import numpy as np
from speed_in_steering import scores

from avdet_ros.rig import load_rig
from avdet_ros.simulation.array_windows import plays_recordings
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.fitting.run_file import LAST, read_run_file
from avdet_ros.training.any_array.fitting.start_weights import read_start_weights
from avdet_ros.training.any_array.fitting.validation import found_in
from avdet_ros.training.any_array.windows.store import ArrayStore
from avdet_ros.training.run.watched_windows import read_plan

STEPS = 4


def read(path: Path, own_columns: bool = False) -> BearingFirst:
    """Read a model file's network, or the averaged network of a run's last epoch.

    Args:
        path: model file or folder of a run.
        own_columns: whether to add separate columns if the network has none.
    """
    start = read_start_weights(path)
    if path.is_dir():
        start = replace(start, weights=read_run_file(path / LAST, 'averaged')['averaged'])
    return (start.with_own_columns() if own_columns else start).network().eval()


def parts_of(folder: Path, store: ArrayStore) -> dict[str, np.ndarray]:
    """Return the rows of a set: all, or those of synthetic and of recorded drives separately."""
    plan, _ = read_plan(folder, load_rig())
    played = np.array([plays_recordings(int(seed), plan) for seed in store.column('seed')])
    if not played.any():
        return {folder.name: np.arange(len(played))}
    return {
        f'{folder.name}, synthetic': np.flatnonzero(~played),
        f'{folder.name}, recorded': np.flatnonzero(played),
    }


def main(model: Path, run: Path, *folders: Path) -> None:
    """Print `speed_in_steering.WORDS` for each share of the run and part of a set."""
    one, other = read(model), read(run)
    for folder in folders:
        store = windows_of(folder, one.shape)
        parts = parts_of(folder, store)
        for step in range(STEPS + 1):
            share = step / STEPS
            found = found_in(mean_of([one, other], [1 - share, share]), store)
            for name, rows in parts.items():
                numbers = ' | '.join(f'{number:.3f}' for number in scores(found, store, rows))
                print(f'| {name} ({len(rows)}) | {share:g} | {numbers} |', flush=True)


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
