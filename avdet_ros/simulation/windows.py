"""Training windows: one second of eight-channel sound as features, with its labels.

A set is a folder of shards, ``windows_<first seed>.npz`` (uncompressed, each of `SCENES_A_SHARD`
drives with `WINDOWS_A_SCENE` windows), and ``windows.json``, which describes how it was made. Each
shard holds, for its n windows,

=================  ==================  ==========================================================
features           (n, 32, 80, 44) f2  FrontEnd.compute of the window, sound rounded to 16 bits,
                                       averaged over 4 frames each (the last of 173 stays alone);
                                       log-mel in dB, then real and imaginary coherences
boxes_px           (n, 16, 4) f4       labels at the window's CENTRE: x_min, y_min, x_max, y_max;
                                       zeros after the first `count`
count              (n,) i8             number of labels of the window
ids, kinds         (n, 16) i8          identity; index into vehicles.KINDS; -1 after `count`
distance_m         (n, 16) f4          from the array
visible_fraction   (n, 16) f4          part of the box that is in the image and not hidden
level_db           (n, 16) f4          A-weighted level relative to all other sound
end_boxes_px       (n, 16, 4) f4       labels at the window's END, independent of the others
end_count          (n,) i8             their number
seed, time_s       (n,)                drive, and the window's start in it
setting            (n,) U10            kind of road
=================  ==================  ==========================================================

A shard appears under its name only when complete, so a killed run can be resumed. Only one run at
a time writes into a folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
import multiprocessing
import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from avdet_ros.audio.features import MAX_LABELS, POOL_FRAMES, FrontEnd, pool_frames
from avdet_ros.audio.samples import to_float, to_int16
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig, load_rig
from avdet_ros.rig_match import rig_numbers
from avdet_ros.simulation.one_run import end_with_parent
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.shard_folder import (
    explain_failed_workers,
    missing_shards,
    use_folder,
    write_rows,
)
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.truth import Truth
from avdet_ros.simulation.vehicles import KINDS

SCENES_A_SHARD = 50
WINDOWS_A_SCENE = 3
SPACING_S = 3.0
FORMAT = 1


@dataclass(frozen=True)
class WindowSet:
    """A set in memory: the arrays of the module's table, with all shards concatenated."""

    arrays: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.arrays['count'])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]


def quantise(waveform: np.ndarray) -> np.ndarray:
    """Quantise sound to the 16 bits of a sound card, float32 in, float32 out."""
    return to_float(to_int16(waveform))


WindowRow = dict[str, np.ndarray | np.generic]
"""Arrays and numbers of a window, by name."""


def scene_windows(scene: Scene, front_end: FrontEnd) -> Iterator[WindowRow]:
    """Yield features and labels of `WINDOWS_A_SCENE` windows of a drive, far apart in time."""
    rng = np.random.default_rng([scene.seed, 9])
    renderer = SoundRenderer(scene)
    rate = scene.rig.sample_rate_hz
    for index in range(WINDOWS_A_SCENE):
        start_s = index * SPACING_S + 0.25 * int(rng.integers(0, 8))
        waveform = quantise(renderer.read(round(start_s * rate), front_end.samples))
        now = scene.labels(start_s + front_end.window_s / 2)
        end = scene.labels(start_s + front_end.window_s)
        yield {
            'features': pool_frames(front_end.compute(waveform)).astype(np.float16),
            'boxes_px': _padded(now.boxes_px, 0.0, np.float32),
            'count': np.int64(min(len(now), MAX_LABELS)),
            'ids': _padded(now.ids, -1, np.int64),
            'kinds': _padded(
                np.array([KINDS.index(kind) for kind in now.kinds], int), -1, np.int64
            ),
            'distance_m': _padded(now.distance_m, 0.0, np.float32),
            'visible_fraction': _padded(now.visible_fraction, 0.0, np.float32),
            'level_db': _padded(_relative(now), 0.0, np.float32),
            'end_boxes_px': _padded(end.boxes_px, 0.0, np.float32),
            'end_count': np.int64(min(len(end), MAX_LABELS)),
            'seed': np.int64(scene.seed),
            'time_s': np.float64(start_s),
            'setting': np.array(scene.setting, 'U10'),
        }


def make_windows(
    out: Path,
    windows: int,
    seeds: tuple[int, int],
    jobs: int,
    corrupted: bool = True,
    rig: Rig | None = None,
) -> Iterator[int]:
    """Make a set, or finish one that was interrupted.

    Args:
        out: the set's folder, created if missing.
        windows: minimum number of windows; whole shards are made.
        seeds: first seed and the one after the last allowed.
        jobs: number of processes.
        corrupted: False for clean recordings.
        rig: microphones and camera; None for the package's own.

    Yields:
        Number of windows of each shard when it is complete, existing shards first.

    Raises:
        AvdetError: too few seeds, the folder holds another set, or it cannot be written.
    """
    drives = -(-windows // WINDOWS_A_SCENE)
    drives = -(-drives // SCENES_A_SHARD) * SCENES_A_SHARD
    if drives > seeds[1] - seeds[0]:
        raise AvdetError(
            f'--seeds: expected at least {drives} drives for {windows} windows, '
            f'found {max(seeds[1] - seeds[0], 0)}'
        )
    rig = rig or load_rig()
    use_folder(out, _settings(seeds[0], corrupted, rig))
    firsts = range(seeds[0], seeds[0] + drives, SCENES_A_SHARD)
    with missing_shards(out, firsts) as todo:
        for _ in range(len(firsts) - len(todo)):
            yield SCENES_A_SHARD * WINDOWS_A_SCENE
        if todo:
            yield from _write_shards(out, todo, jobs, corrupted, rig)


def _write_shards(
    out: Path, todo: list[int], jobs: int, corrupted: bool, rig: Rig
) -> Iterator[int]:
    # one thread per process, as the processes already run in parallel
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')
    spawn = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=end_with_parent) as pool:
        tasks = [pool.submit(write_shard, out, first, corrupted, rig) for first in todo]
        try:
            with explain_failed_workers(out):
                for task in as_completed(tasks):
                    yield task.result()
        finally:
            for task in tasks:
                task.cancel()


def write_shard(out: Path, first_seed: int, corrupted: bool, rig: Rig) -> int:
    """Make and write one shard; return its number of windows."""
    front_end = FrontEnd.of(rig)
    duration_s = WINDOWS_A_SCENE * SPACING_S
    rows = [
        row
        for seed in range(first_seed, first_seed + SCENES_A_SHARD)
        for row in scene_windows(random_scene(seed, rig, duration_s, corrupted), front_end)
    ]
    return write_rows(out, first_seed, rows)


def load_windows(folder: str | Path, limit: int | None = None) -> WindowSet:
    """Read a set, or the part of it that exists already.

    Args:
        folder: folder that `make_windows` wrote.
        limit: at most this many windows, in the order of their seeds.

    Raises:
        AvdetError: no such set, an unreadable shard, or another format.
    """
    folder = Path(folder)
    paths = sorted(folder.glob('windows_*.npz'))
    if not paths:
        raise AvdetError(f'{folder}: expected windows_*.npz, found none')
    if limit is not None:
        paths = paths[: -(-limit // (SCENES_A_SHARD * WINDOWS_A_SCENE))]
    shards = []
    for path in paths:
        try:
            with np.load(path, allow_pickle=False) as shard:
                shards.append({name: shard[name] for name in shard.files})
        except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
            raise AvdetError(f'{path} is not a shard of windows: {error}') from error
    names = list(shards[0])
    joined = {}
    for name in names:
        joined[name] = np.concatenate([shard.pop(name) for shard in shards])[:limit]
    return WindowSet(joined)


def _padded(values: np.ndarray, fill: float, dtype: type) -> np.ndarray:
    out = np.full((MAX_LABELS, *values.shape[1:]), fill, dtype)
    out[: len(values)] = values[:MAX_LABELS]
    return out


def _relative(truth: Truth) -> np.ndarray:
    return truth.level_db - truth.rest_db


def _settings(first_seed: int, corrupted: bool, rig: Rig) -> dict[str, Any]:
    """Return the settings of a set."""
    front_end = FrontEnd.of(rig)
    return {
        'format': FORMAT,
        'first_seed': first_seed,
        'corrupted': corrupted,
        'features': list(front_end.feature_names),
        'pool_frames': POOL_FRAMES,
        'window_s': front_end.window_s,
        **rig_numbers(rig),
    }
