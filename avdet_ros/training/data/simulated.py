"""Load a set of simulated windows from disk; missing windows are simulated."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
import zipfile

import numpy as np

from avdet_ros.dataset.splits import SPLIT_SEEDS
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error, map_member
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import brief_repr
from avdet_ros.rig import Rig
from avdet_ros.rig_match import rig_difference
from avdet_ros.simulation import windows as simulated
from avdet_ros.training.data.windows import WindowDataset

_logger = logging.getLogger(__name__)


def complete_windows(
    folder: Path, rig: Rig, split: str, count: int, progress: Progress = SILENT
) -> None:
    """Simulate the missing windows of a split; an interrupted simulation resumes."""
    if _windows_there(folder) >= count:
        return
    _logger.info('%s: simulating %d windows for %s', folder, count, split)
    jobs = os.cpu_count() or 1
    with progress.step(f'{split} windows', count) as advance:
        for made in simulated.make_windows(folder, count, SPLIT_SEEDS[split], jobs, rig=rig):
            advance(made)


def map_windows(folder: Path, rig: Rig, count: int = 0) -> WindowDataset:
    """Load a set of windows with memory-mapped features.

    Args:
        folder: folder that `avdet_ros.simulation.windows.make_windows` wrote.
        rig: microphones and camera that the windows must have been made for.
        count: number of windows to take, in the order of their seeds; 0 takes all.

    Raises:
        AvdetError: no such set, an unreadable shard, or another rig.
    """
    _check_manifest(folder, rig)
    size = rig.camera.width_px, rig.camera.height_px
    paths = sorted(folder.glob('windows_*.npz'))
    if not paths:
        raise AvdetError(f'{folder}: expected windows_*.npz, found none')
    names: list[str] = []
    drives: list[str] = []
    times_s: list[float] = []
    features: list[np.ndarray] = []
    boxes: list[np.ndarray] = []
    scale = np.tile(np.array(size, np.float32), 2)
    for path in paths:
        try:
            features.extend(map_member(path, 'features'))
            with np.load(path, allow_pickle=False) as shard:
                parts = (shard['boxes_px'] / scale).astype(np.float32)
                labels = shard['count']
                drives += [f'seed {seed}' for seed in shard['seed'].tolist()]
                times_s += shard['time_s'].tolist()
            boxes.extend(
                window[:box_count] for window, box_count in zip(parts, labels, strict=True)
            )
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise AvdetError(f'{path} is not a shard of windows: {error}') from error
        names.extend(f'{path.stem}/{row}' for row in range(len(features) - len(names)))
        if count and len(features) >= count:
            break
    most = count or len(names)
    return WindowDataset(
        names[:most],
        features[:most],
        boxes[:most],
        size,
        drives=drives[:most],
        times_s=times_s[:most],
    )


def about_windows(sizes: dict[str, int]) -> str:
    """Summarise the origin of simulated windows in a sentence."""
    return ', '.join(
        f'{count} {split} windows of simulated drives from seed {SPLIT_SEEDS[split][0]}'
        for split, count in sizes.items()
    )


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
