"""What networks score whose weights lie between those of a model and of a run that began with it.

    python tools/weights_between.py MODEL RUN WINDOWS [WINDOWS ...]

A run that teaches a model something new forgets some of the old; weights between both may keep
more of each than lies between their scores (M. Wortsman et al., "Robust fine-tuning of zero-shot
models", CVPR 2022). MODEL and RUN are model files or folders of runs (their last epoch), WINDOWS
sets of validation windows; drives whose vehicles play recordings are scored apart.
"""

from __future__ import annotations

from pathlib import Path
import sys

import numpy as np
from speed_in_steering import Part
import torch

from avdet_ros.rig import load_rig
from avdet_ros.simulation.array_windows import draw_world
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.fitting.run_file import LAST, read_run_file
from avdet_ros.training.any_array.fitting.start_weights import read_start_weights
from avdet_ros.training.any_array.fitting.store import ArrayStore
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of
from avdet_ros.training.any_array.run import AnyArrayRun
from avdet_ros.training.run.watched_windows import read_plan

STEPS = 4
WORDS = ('bearing_ap', 'bearing_recall', 'azimuth_error_deg', 'ap50')


def read(path: Path) -> BearingFirst:
    """A model file's network, or the averaged one of a run's last epoch."""
    network = read_start_weights(path).network()
    if path.is_dir():
        network.load_state_dict(read_run_file(path / LAST, 'averaged')['averaged'])
    return network.eval()


def between(one: BearingFirst, other: BearingFirst, share: float) -> BearingFirst:
    """Weights and statistics so far on the way from one to the other; counts are the first's."""
    theirs = other.state_dict()
    state = {
        name: torch.lerp(value, theirs[name], share) if value.is_floating_point() else value
        for name, value in one.state_dict().items()
    }
    network = BearingFirst(one.shape)
    network.load_state_dict(state)
    return network.eval()


def parts_of(folder: Path, store: ArrayStore) -> dict[str, np.ndarray]:
    """Rows of a set: all, or those of synthetic drives and those of recorded ones."""
    base, seeds = load_rig(), store.column('seed')
    plan, _ = read_plan(folder, base)
    if not plan.recordings:
        return {folder.name: np.arange(len(seeds))}
    recorded = {
        int(seed): draw_world(int(seed), base, plan).recordings is not None
        for seed in np.unique(seeds)
    }
    played = np.array([recorded[int(seed)] for seed in seeds])
    return {
        f'{folder.name}, synthetic': np.flatnonzero(~played),
        f'{folder.name}, recorded': np.flatnonzero(played),
    }


def main(model: Path, run: Path, *folders: Path) -> None:
    """Print a row for each step of the way and part of a set."""
    one, other = read(model), read(run)
    for folder in folders:
        store = AnyArrayRun(folder, folder, folder, shape=one.shape).store(folder, None)
        store.refresh()
        parts = parts_of(folder, store)
        for step in range(STEPS + 1):
            found = found_in(between(one, other, step / STEPS), store)
            for name, rows in parts.items():
                scores = scores_of([found[row] for row in rows], Part(store, rows))
                numbers = ' | '.join(f'{scores[word]:.3f}' for word in WORDS)
                print(f'| {name} ({len(rows)}) | {step / STEPS:g} | {numbers} |', flush=True)


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
