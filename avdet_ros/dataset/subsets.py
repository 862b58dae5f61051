"""Subsets of a data set: recorded by day or by night, while standing or while driving.

MAVD lists them in separate split files, such as ``val_day_static.txt``. If a data set has no such
file, the time of day follows from a drive's name, and motion from ``static`` in its
``parameters.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError
from avdet_ros.fields import value

MOTIONS = tuple(name for name in layout.VARIANTS if name != 'all')


@dataclass(frozen=True)
class Subset:
    """Choice of frames.

    Attributes:
        daytime: ``day``, ``night`` or ``all``.
        motion: ``static``, ``drive`` or ``all``.
    """

    daytime: str = value('all', choices=('all', *layout.DAYTIMES))
    motion: str = value('all', choices=layout.VARIANTS)

    def __str__(self) -> str:
        return ' '.join(name for name in (self.daytime, self.motion) if name != 'all') or 'all'


WHOLE = Subset()
"""All frames."""


def subset_frames(
    root: Path, split: str, subset: Subset, among: Iterable[layout.FrameId] | None = None
) -> list[layout.FrameId]:
    """Return the frames of a split that are in a subset, sorted by time.

    Args:
        root: a folder in the MAVD layout.
        split: one of `layout.SPLITS`.
        subset: the subset.
        among: return only frames among these; None: all frames in the split's files.

    Raises:
        AvdetError: a list is missing or damaged, or no frame is in the subset.
    """
    daytime = None if subset.daytime == 'all' else subset.daytime
    preferred = layout.split_path(root, split, daytime, subset.motion)
    listed = preferred if preferred.is_file() else layout.split_path(root, split)
    frames = layout.read_ids(listed)
    if among is not None:
        allowed = set(among)
        frames = [frame for frame in frames if frame in allowed]
    if listed != preferred:
        motions = listed_motions(root)
        frames = [
            frame
            for frame in frames
            if daytime in (None, 'day' if frame.is_day else 'night')
            and subset.motion in ('all', motion_of(root, frame.drive, motions))
        ]
    if not frames:
        source = (
            listed.name if listed == preferred else f'{listed.name} (there is no {preferred.name})'
        )
        raise AvdetError(f'{root}: expected {split} frames of {subset}, found none in {source}')
    return frames


def motion_of(root: Path, drive: str, listed: Mapping[str, str]) -> str:
    """Return ``static``, ``drive`` or ``unknown``: by a drive's parameters or `listed_motions`."""
    if (root / drive / 'parameters.json').is_file():
        static = layout.read_parameters(root / drive).get('static')
        if static is not None:
            return 'static' if static else 'drive'
    return listed.get(drive, 'unknown')


def listed_motions(root: Path) -> dict[str, str]:
    """Return each drive's motion, ``static`` or ``drive``, by the split files that list it."""
    found = {}
    for motion in MOTIONS:
        for split in layout.SPLITS:
            path = layout.split_path(root, split, None, motion)
            for frame in layout.read_ids(path) if path.is_file() else []:
                found[frame.drive] = motion
    return found


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """Return at most ``most`` evenly spaced indices of a list of ``count`` entries."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
