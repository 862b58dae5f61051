"""Training windows: features and labels of many short drives, on disk as a memory map.

A folder of windows holds

- ``features.npy``: (N, 32, n_mels, ceil(frames / 4)) float16, the front end's output averaged over
  groups of 4 frames (the last group over what it has);
- ``labels/00000.npz`` and on: for each chunk of `CHUNK` windows the arrays of `LABELS`;
- ``windows.json``: what it was made with; present from the start.

Chunks are made by several processes in any order. A chunk counts once its label file is there,
which is written last, so a killed run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
import json
import multiprocessing
import os
from pathlib import Path

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.vehicles import KINDS

POOLED_FRAMES = 4
WINDOWS_A_DRIVE = 4
DRIVE_S = 10.0
CHUNK = 64
MOST_LABELS = 16
FORMAT = 1

LABELS = ('seed', 'end_s', 'count', 'boxes_px', 'ids', 'kind', 'distance_m', 'visible')
"""Arrays of a label file: drive, end of the window, number of labels, and for each label (padded
to `MOST_LABELS`) its box, identity, index into vehicles.KINDS, distance and visible fraction."""


@dataclass(frozen=True)
class Windows:
    """A finished folder.

    Attributes:
        features: (N, 32, n_mels, T) float16, a memory map.
        boxes_px: per window (n, 4) float32.
        seed: (N,) int64 drive of each window.
        visible: per window (n,) float32 part of the box the camera sees.
        distance_m: per window (n,) float32.
        made_with: the contents of windows.json.
    """

    features: np.ndarray
    boxes_px: list[np.ndarray]
    seed: np.ndarray
    visible: list[np.ndarray]
    distance_m: list[np.ndarray]
    made_with: dict


def pool_frames(spectrogram: np.ndarray) -> np.ndarray:
    """Mean of each group of `POOLED_FRAMES` frames, (..., frames) to (..., ceil(frames / 4))."""
    frames = spectrogram.shape[-1]
    starts = np.arange(0, frames, POOLED_FRAMES)
    sums = np.add.reduceat(spectrogram, starts, axis=-1)
    return sums / np.diff(np.append(starts, frames)).astype(np.float32)


def make_windows(
    folder: Path,
    count: int,
    first_seed: int,
    jobs: int = 2,
    corrupted: bool = True,
    rig: Rig | None = None,
    progress: Callable[[int], None] | None = None,
) -> Windows:
    """Make windows of the drives ``first_seed``, ``first_seed + 1``, ..., or finish making them.

    Four windows a drive, at times about 2 s apart; labels hold for each window's middle.

    Args:
        folder: where to; made if missing.
        count: how many windows.
        first_seed: of the drives.
        jobs: processes.
        corrupted: False for an ideal recording.
        rig: microphones and camera; None for the package's own.
        progress: called with the number of windows that were just finished.

    Raises:
        AvdetError: the folder holds windows made otherwise, or cannot be written.
    """
    front_end = FrontEnd()
    made_with = {
        'format': FORMAT, 'count': count, 'first_seed': first_seed, 'corrupted': corrupted,
        'front_end': [front_end.n_mels, front_end.frames, len(front_end.feature_names)],
    }  # fmt: skip
    shape = (count, len(front_end.feature_names), front_end.n_mels, -(-front_end.frames // 4))
    try:
        _prepare(folder, made_with, shape)
    except OSError as error:
        raise AvdetError(f'cannot write windows to {folder}: {error.strerror}') from error
    chunks = range(-(-count // CHUNK))
    missing = [chunk for chunk in chunks if not _label_file(folder, chunk).exists()]
    if progress:
        progress(sum(min(CHUNK, count - c * CHUNK) for c in chunks if c not in missing))
    rig = rig or load_rig()
    if missing:
        context = multiprocessing.get_context('forkserver')
        with ProcessPoolExecutor(jobs, context) as pool:
            work = [pool.submit(_make_chunk, folder, c, made_with, rig) for c in missing]
            try:
                for finished in as_completed(work):
                    made = finished.result()
                    if progress:
                        progress(made)
            except OSError as error:
                raise AvdetError(f'cannot write windows to {folder}: {error.strerror}') from error
            finally:
                pool.shutdown(cancel_futures=True)
    return load_windows(folder)


def load_windows(folder: Path) -> Windows:
    """Open a finished folder.

    Raises:
        AvdetError: there are no windows, or not all of them yet.
    """
    try:
        made_with = json.loads((folder / 'windows.json').read_text())
        count = int(made_with['count'])
        features = np.load(folder / 'features.npy', mmap_mode='r', allow_pickle=False)
        parts = []
        for chunk in range(-(-count // CHUNK)):
            with np.load(_label_file(folder, chunk), allow_pickle=False) as file:
                parts.append({name: file[name] for name in LABELS})
    except (OSError, ValueError, KeyError) as error:
        raise AvdetError(
            f'{folder}: expected finished windows made by avdet simulate-windows, '
            f'found {error!s:.100}'
        ) from error
    joined = {name: np.concatenate([part[name] for part in parts]) for name in LABELS}
    rows = list(enumerate(joined['count']))
    return Windows(
        features=features,
        boxes_px=[joined['boxes_px'][row, :n] for row, n in rows],
        seed=joined['seed'],
        visible=[joined['visible'][row, :n] for row, n in rows],
        distance_m=[joined['distance_m'][row, :n] for row, n in rows],
        made_with=made_with,
    )


def _prepare(folder: Path, made_with: dict, shape: tuple[int, ...]) -> None:
    index = folder / 'windows.json'
    if index.exists():
        found = json.loads(index.read_text())
        for key, value in made_with.items():
            if found.get(key) != value:
                raise AvdetError(
                    f'{folder}: {key}: expected windows made with {value}, '
                    f'found {found.get(key)}; choose another folder'
                )
        return
    (folder / 'labels').mkdir(parents=True, exist_ok=True)
    np.lib.format.open_memmap(folder / 'features.npy', 'w+', np.float16, shape).flush()
    partial = index.with_suffix('.partial')
    partial.write_text(json.dumps(made_with, indent=1))
    partial.replace(index)


def _label_file(folder: Path, chunk: int) -> Path:
    return folder / 'labels' / f'{chunk:05d}.npz'


def _make_chunk(folder: Path, chunk: int, made_with: dict, rig: Rig) -> int:
    first = chunk * CHUNK
    count = min(CHUNK, made_with['count'] - first)
    features = np.load(folder / 'features.npy', mmap_mode='r+', allow_pickle=False)
    labels = _empty_labels(count)
    front_end = FrontEnd()
    for row in range(count):
        seed, place = divmod(first + row, WINDOWS_A_DRIVE)
        seed += made_with['first_seed']
        if row == 0 or place == 0:
            scene = random_scene(seed, rig, DRIVE_S, made_with['corrupted'])
        start_s = 0.5 + 2.2 * place + np.random.default_rng([seed, place, 9]).uniform(0, 0.5)
        waveform = render_sound(scene, start_s, front_end.window_s)
        features[first + row] = pool_frames(front_end.compute(waveform))
        _fill_labels(labels, row, scene, start_s, front_end.window_s)
    features.flush()
    partial = _label_file(folder, chunk).with_suffix('.partial')
    with partial.open('wb') as file:
        np.savez(file, **labels)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(_label_file(folder, chunk))
    return count


def _empty_labels(count: int) -> dict[str, np.ndarray]:
    return {
        'seed': np.zeros(count, np.int64),
        'end_s': np.zeros(count),
        'count': np.zeros(count, np.int64),
        'boxes_px': np.zeros((count, MOST_LABELS, 4), np.float32),
        'ids': np.zeros((count, MOST_LABELS), np.int64),
        'kind': np.zeros((count, MOST_LABELS), np.int8),
        'distance_m': np.zeros((count, MOST_LABELS), np.float32),
        'visible': np.zeros((count, MOST_LABELS), np.float32),
    }


def _fill_labels(labels: dict, row: int, scene: object, start_s: float, window_s: float) -> None:
    found = scene.labels(start_s + window_s / 2)
    n = min(len(found), MOST_LABELS)
    labels['seed'][row], labels['end_s'][row] = scene.seed, start_s + window_s
    labels['count'][row] = n
    labels['boxes_px'][row, :n] = found.boxes_px[:n]
    labels['ids'][row, :n] = found.ids[:n]
    labels['kind'][row, :n] = [KINDS.index(kind) for kind in found.kinds[:n]]
    labels['distance_m'][row, :n] = found.distance_m[:n]
    labels['visible'][row, :n] = found.visible_fraction[:n]
