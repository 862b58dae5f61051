"""Write a set of windows as shards, in several processes, so that it can be resumed.

A shard appears under its name only when complete, so a reader can follow a growing folder, and an
interrupted run can be resumed. Only one run at a time writes into a folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, replace
from itertools import islice
import multiprocessing
import os
from pathlib import Path
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig
from avdet_ros.rig_match import rig_numbers
from avdet_ros.simulation.array_windows import FORMAT, WindowPlan
from avdet_ros.simulation.dense_windows import drive_windows
from avdet_ros.simulation.one_run import end_with_parent
from avdet_ros.simulation.shard_folder import (
    drop_oldest,
    explain_failed_workers,
    missing_shards,
    use_folder,
    write_rows,
)

NEWER = {name: getattr(WindowPlan, name) for name in ('recordings', 'empty', 'idling', 'dense')}
"""Values assumed for newer settings in sets made before these settings existed."""

SHARDS_IN_HAND = 2
"""Shards submitted per process: one that it makes and one that waits."""

_ONE_THREAD = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'NUMBA_NUM_THREADS')


def make_array_windows(
    out: Path,
    windows: int,
    seeds: tuple[int, int],
    jobs: int,
    plan: WindowPlan,
    base: Rig,
    keep: int | None = None,
) -> Iterator[int]:
    """Make a set of format 3, or finish one that was interrupted.

    Args:
        out: the set's folder, created if missing.
        windows: minimum number of windows; whole shards are made.
        seeds: first seed and the one after the last allowed.
        jobs: number of processes.
        plan: contents of the set.
        base: rig with the sample rate and the nominal camera.
        keep: maximum number of windows; the oldest beyond it are deleted, for a training run that
            reads windows as they are made. None keeps all.

    Yields:
        Number of windows of each shard when it is complete, existing shards first.

    Raises:
        AvdetError: too few seeds, too few windows to keep, the folder holds another set, or it
            cannot be written.
    """
    a_shard = plan.windows_a_shard
    shards = -(-windows // a_shard)
    drives = shards * plan.drives_a_shard
    if drives > seeds[1] - seeds[0]:
        raise AvdetError(
            f'--seeds: expected at least {drives} drives for {windows} windows, '
            f'found {max(seeds[1] - seeds[0], 0)}'
        )
    kept = None if keep is None else keep // a_shard
    if kept is not None and kept <= SHARDS_IN_HAND * jobs:
        # Otherwise an older shard may still be in progress when a newer one is deleted.
        raise AvdetError(
            f'--keep: expected at least {(SHARDS_IN_HAND * jobs + 1) * a_shard} windows with '
            f'{jobs} processes, found {keep}'
        )
    use_folder(out, _settings(seeds[0], plan, base), NEWER)
    firsts = range(seeds[0], seeds[0] + drives, plan.drives_a_shard)
    with missing_shards(out, firsts, dropping=kept is not None) as todo:
        for _ in range(len(firsts) - len(todo)):
            yield a_shard
        if todo:
            yield from _write_all(out, todo, jobs, plan, base, kept)


def write_array_shard(out: Path, first_seed: int, plan: WindowPlan, base: Rig) -> int:
    """Make and write one shard; return its number of windows."""
    front_end = plan.front_end(base)
    rows = [
        row
        for seed in range(first_seed, first_seed + plan.drives_a_shard)
        for row in drive_windows(seed, base, front_end, plan)
    ]
    return write_rows(out, first_seed, rows)


def _write_all(
    out: Path, todo: list[int], jobs: int, plan: WindowPlan, base: Rig, kept: int | None
) -> Iterator[int]:
    # one thread per process, as the processes already run in parallel
    for name in _ONE_THREAD:
        os.environ.setdefault(name, '1')
    spawn = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=end_with_parent) as pool:
        running: set[Future[int]] = set()
        try:
            with explain_failed_workers(out):
                # one process alone first, so that the others find compiled code in the cache
                pool.submit(_warm_up, plan, base).result()
                following = iter(todo)
                for first in islice(following, SHARDS_IN_HAND * jobs):
                    running.add(pool.submit(write_array_shard, out, first, plan, base))
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for task in done:
                        made = task.result()
                        if kept is not None:
                            drop_oldest(out, kept)
                        yield made
                    while (
                        len(running) < SHARDS_IN_HAND * jobs
                        and (later := next(following, None)) is not None
                    ):
                        running.add(pool.submit(write_array_shard, out, later, plan, base))
        finally:
            for task in running:
                task.cancel()


def _warm_up(plan: WindowPlan, base: Rig) -> None:
    """Compile the code that makes windows by making a few drives."""
    front_end, one = plan.front_end(base), replace(plan, windows_a_drive=1)
    for seed in range(4):
        for _ in drive_windows(seed, base, front_end, one):
            pass


def _settings(first_seed: int, plan: WindowPlan, base: Rig) -> dict[str, Any]:
    """Return the settings of a set."""
    front_end = plan.front_end(base)
    return {
        'format': FORMAT,
        'first_seed': first_seed,
        **asdict(plan),
        'features': list(front_end.feature_names),
        'window_s': front_end.window_s,
        **rig_numbers(base),
    }
