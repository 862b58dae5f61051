"""Sets of simulated windows on disk as the network is fed with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
import json
import os
from pathlib import Path
import zipfile

import numpy as np

from avdet_ros.dataset.drive_windows import WINDOWS, is_dataset, make_drive_windows
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error, map_member
from avdet_ros.quoting import brief_repr
from avdet_ros.rig import Rig
from avdet_ros.rig_match import rig_difference
from avdet_ros.simulation import windows as simulated
from avdet_ros.training.data.window_set import WindowSet
from avdet_ros.training.fitting.distributed import first_only
from avdet_ros.training.recipes.read import DataRecipe

SEEDS = {'train': (0, 100_000), 'val': (100_000, 200_000), 'test': (200_000, 300_000)}
"""First drive of each split and the one after its last: no drive is in two of them."""


@dataclass(frozen=True)
class Splits:
    """Windows of different drives for different uses.

    Attributes:
        train: to learn from.
        val: to choose and calibrate with.
        test: for final scores only.
        about: a sentence on where they come from.
    """

    train: WindowSet
    val: WindowSet
    test: WindowSet
    about: str


def load_splits(
    folder: Path, rig: Rig, sizes: DataRecipe, progress: bool, say: Callable[[str], None]
) -> Splits:
    """Map the windows into memory; simulate those that are not there yet.

    Args:
        folder: has, or gets, a folder for each split; or a data set in the MAVD layout, whose
            drives are taken as they are split there.
        rig: microphones and camera of the windows.
        sizes: how many.
        progress: draw a progress bar.
        say: takes a line for people.

    Raises:
        AvdetError: the folder holds windows of another rig, or cannot be read or written.
    """
    if is_dataset(folder):
        first_only(lambda: make_drive_windows(folder, rig, say))
        recorded = {split: map_windows(folder / WINDOWS / split, rig) for split in SEEDS}
        counts = ', '.join(f'{len(windows)} {split}' for split, windows in recorded.items())
        return Splits(**recorded, about=f'{counts} frames of the drives in {folder.name}')
    sets = {}
    for split in SEEDS:
        count = getattr(sizes, split)
        first_only(partial(complete_windows, folder / split, rig, split, count, progress, say))
        sets[split] = map_windows(folder / split, rig, count)
    about = ', '.join(
        f'{len(windows)} {split} windows of simulated drives from seed {SEEDS[split][0]}'
        for split, windows in sets.items()
    )
    return Splits(**sets, about=about)


def complete_windows(
    folder: Path, rig: Rig, split: str, count: int, progress: bool, say: Callable[[str], None]
) -> None:
    """Simulate what is missing of a split; a killed simulation goes on where it was."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    if _windows_there(folder) >= count:
        return
    say(f'{folder}: simulating {count} windows for {split}')
    with Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        disable=not progress,
    ) as bar:
        task = bar.add_task(split, total=count)
        jobs = os.cpu_count() or 1
        for made in simulated.make_windows(folder, count, SEEDS[split], jobs, rig=rig):
            bar.advance(task, made)


def map_windows(folder: Path, rig: Rig, count: int = 0) -> WindowSet:
    """A set of windows, its features left on disk until they are needed.

    Args:
        folder: what `avdet_ros.simulation.windows.make_windows` wrote.
        rig: what the windows should have been heard with.
        count: the first so many in the order of their seeds; 0 takes all.

    Raises:
        AvdetError: no such set, an unreadable shard, or another rig.
    """
    _check_manifest(folder, rig)
    size = rig.camera.width_px, rig.camera.height_px
    paths = sorted(folder.glob('windows_*.npz'))
    if not paths:
        raise AvdetError(f'{folder}: expected windows_*.npz, found none')
    features: list[np.ndarray] = []
    boxes: list[np.ndarray] = []
    scale = np.tile(np.array(size, np.float32), 2)
    for path in paths:
        try:
            features.extend(map_member(path, 'features'))
            with np.load(path, allow_pickle=False) as shard:
                parts = (shard['boxes_px'] / scale).astype(np.float32)
                labels = shard['count']
            boxes.extend(window[:many] for window, many in zip(parts, labels, strict=True))
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise AvdetError(f'{path} is not a shard of windows: {error}') from error
        if count and len(features) >= count:
            break
    return WindowSet(features, boxes, size).first(count)


def _windows_there(folder: Path) -> int:
    shards = len(list(folder.glob('windows_*.npz')))
    return shards * simulated.SCENES_A_SHARD * simulated.WINDOWS_A_SCENE


def _check_manifest(folder: Path, rig: Rig) -> None:
    path = folder / 'windows.json'
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise AvdetError(f'cannot read {path}: {explain_os_error(error)}') from error
    except ValueError as error:
        raise AvdetError(f'{path} does not describe a set of windows: {error}') from error
    if not isinstance(manifest, dict):
        raise AvdetError(f'{path} does not describe a set of windows: {brief_repr(manifest)}')
    if difference := rig_difference(rig, manifest):
        raise AvdetError(f'{path}: {difference}; choose another --data folder or another --rig')
