"""Split of drives between teachers and student.

A data set in the MAVD layout lists its training, validation and test frames. The teachers are
trained on part of the training drives, and the student never learns from these (MM-DistillNet's
teachers come from entirely different data sets). Splits consist of whole drives, as windows of one
drive overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
import json
import logging
from pathlib import Path

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.dataset.skipped import Skipped
from avdet_ros.dataset.subsets import WHOLE, Subset, subset_frames
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_json
from avdet_ros.quoting import one_line

_logger = logging.getLogger(__name__)

SPLIT_SEEDS = {'train': (0, 100_000), 'val': (100_000, 200_000), 'test': (200_000, 300_000)}
"""Seeds of simulated drives: first of each split, and the one after its last."""

WATCHED = 0.2
"""Fraction of the teachers' drives used to choose their epoch, at least one drive."""

TAUGHT_BY = 'drives.json'
"""File beside a teacher with the names of its training drives."""

SHARED_OUT = 'split.json'
"""File in the folder of a run with the names of the drives by use."""

Frames = tuple[layout.FrameId, ...]


@dataclass(frozen=True)
class DriveSplit:
    """Frames by use; no drive has two uses unless the data set's files say so.

    Attributes:
        teach: for training the teachers.
        watch: for choosing the teachers' epoch.
        train: for training the student, once the teachers have labelled them.
        val: for choosing the student's epoch and calibrating its scores.
        test: for final scores only.
        subset: subset of the data set to which `student` belongs.
    """

    teach: Frames
    watch: Frames
    train: Frames
    val: Frames
    test: Frames
    subset: Subset = WHOLE

    @property
    def student(self) -> Frames:
        """All frames for training, validating and testing the student."""
        return self.train + self.val + self.test

    def about(self, name: str) -> str:
        """Return a short summary for the user."""
        counts = ', '.join(f'{len(getattr(self, use))} {use}' for use in ('train', 'val', 'test'))
        suffix = '' if self.subset == WHOLE else f' ({self.subset})'
        return f'{counts} frames of the drives in {name}{suffix}'


def read_split(
    root: Path, teachers_share: float, subset: Subset = WHOLE, need_sound: bool = True
) -> DriveSplit:
    """Read a data set's split files and set the teachers' drives apart.

    Args:
        root: a folder in the MAVD layout.
        teachers_share: fraction of the training drives for the teachers; 0 leaves all of them to
            the student.
        subset: frames for training and scoring the student; the teachers learn from all of
            their drives, which are the same for every subset.
        need_sound: leave out frames without sound; False if only pictures are used.

    Raises:
        AvdetError: the folder is not in that layout, lists frames that do not exist, or has too
            few drives or no frame of the subset.
    """
    if not root.is_dir():
        raise AvdetError(f'{root}: expected a folder of drives, found none')
    listed: dict[str, list[layout.FrameId]] = {}
    for split in layout.SPLITS:
        path = layout.split_path(root, split)
        if not layout.is_dataset(root):
            raise AvdetError(
                f'{root}: expected drives in the MAVD layout with {path.name}, found '
                f'{_contents(root)}; avdet sim drives makes such a folder'
            )
        ids = layout.read_ids(path) if path.is_file() else []
        listed[split] = _present(root, ids, path, need_sound)
        if not listed[split]:
            raise AvdetError(
                f'{path}: expected frames, found none; it takes three drives to have a training, '
                'a validation and a test split'
            )
    _warn_of_leaks(listed)
    drives = by_drive(listed['train'])
    teachers, students = share_drives(list(drives), teachers_share)
    if teachers_share and (len(teachers) < 2 or not students):
        raise AvdetError(
            f'{layout.split_path(root, "train")}: expected at least 3 drives, two to teach the '
            f'teachers and one for the student, found {len(drives)}; ready teachers '
            '(teachers.folder) need none'
        )
    watchers = max(1, round(WATCHED * len(teachers))) if teachers else 0
    watched = set(teachers[len(teachers) - watchers :])
    listed['train'] = list(_of(drives, students))
    used = {
        split: tuple(subset_frames(root, split, subset, frames))
        for split, frames in listed.items()
    }
    return DriveSplit(
        teach=_of(drives, [name for name in teachers if name not in watched]),
        watch=_of(drives, [name for name in teachers if name in watched]),
        **used,
        subset=subset,
    )


def share_drives(names: Sequence[str], share: float) -> tuple[list[str], list[str]]:
    """Divide drives evenly by day and by night.

    Args:
        names: names of the drives.
        share: fraction that goes into the first list.

    Returns:
        The teachers' and the student's drives, each sorted.
    """
    first: list[str] = []
    for light in (True, False):
        same_light = sorted(name for name in names if ('day' in name) == light)
        marks = np.floor(share * np.arange(len(same_light) + 1) + 1e-9)
        first += [
            name for name, taken in zip(same_light, np.diff(marks) > 0, strict=True) if taken
        ]
    # Rounding by day and by night may leave too few: teachers need at least two drives.
    remaining = [name for name in sorted(names) if name not in first]
    while share and len(first) < 2 and len(remaining) > 1:
        first.append(remaining.pop(0))
    return sorted(first), sorted(set(names) - set(first))


def note_drives(folder: Path, frames: Iterable[layout.FrameId]) -> None:
    """Write a teacher's training drives to a file beside it, see `without_taught`."""
    names = sorted({frame.drive for frame in frames})
    write_json(folder / TAUGHT_BY, names)


def keep_split(folder: Path, split: DriveSplit) -> None:
    """Store a split in a run's folder, or check that it equals the one stored there.

    Added or removed drives change the split. Without this check a student could continue with
    teachers that were trained on the student's own drives.

    Args:
        folder: folder of the run.
        split: split of its data.

    Raises:
        AvdetError: the run was started with other drives, or the file is damaged.
    """
    uses = ('teach', 'watch', 'train', 'val', 'test')
    drives = {use: list(by_drive(getattr(split, use))) for use in uses}
    path = folder / SHARED_OUT
    if not path.exists():
        write_json(path, drives)
    try:
        stored = json.loads(path.read_text(encoding='utf-8'))
        before = {use: set(map(str, stored[use])) for use in uses}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AvdetError(f'{path}: expected drives by use, found {one_line(error)}') from error
    for use in uses:
        changed = sorted(before[use] ^ set(drives[use]))
        if changed:
            raise AvdetError(
                f'{folder}: the run was started with other drives: {use}: expected '
                f'{len(before[use])}, found {len(drives[use])} ({changed[0]} is in one of them '
                'only); choose another --out for this data'
            )


def without_taught(split: DriveSplit, teachers: Sequence[Path]) -> DriveSplit:
    """Leave out the training drives that existing teachers were trained on.

    Args:
        split: split of the data set.
        teachers: their folders; one without `TAUGHT_BY` was trained on other data.

    Raises:
        AvdetError: a list is damaged, or no training drive is left.
    """
    taught: set[str] = set()
    for folder in teachers:
        path = folder / TAUGHT_BY
        try:
            taught |= set(map(str, json.loads(path.read_text(encoding='utf-8'))))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError) as error:
            raise AvdetError(
                f'{path}: expected a list of drives, found {one_line(error)}'
            ) from error
    kept = tuple(frame for frame in split.train if frame.drive not in taught)
    if not kept:
        raise AvdetError(
            f'teachers.folder: expected teachers that did not learn from all '
            f'{len(by_drive(split.train))} training drives, found {teachers[0].parent}'
        )
    if len(kept) < len(split.train):
        left_out = len(by_drive(split.train)) - len(by_drive(kept))
        _logger.info('%d training drives left out: the teachers learned from them', left_out)
    seen = sorted({frame.drive for frame in split.val + split.test} & taught)
    if seen:
        _logger.warning(
            'warning: the teachers learned from %d validation or test drives, the first %s',
            len(seen),
            seen[0],
        )
    return replace(split, train=kept)


def by_drive(frames: Iterable[layout.FrameId]) -> dict[str, list[layout.FrameId]]:
    """Group frames by drive, sorted by time."""
    drives: dict[str, list[layout.FrameId]] = {}
    for frame in sorted(frames):
        drives.setdefault(frame.drive, []).append(frame)
    return drives


def _present(
    root: Path, ids: list[layout.FrameId], path: Path, need_sound: bool
) -> list[layout.FrameId]:
    """Return the listed frames that have a picture and, if ``need_sound``, sound."""
    skipped = Skipped(str(path), len(ids))
    kept = []
    whole = {frame.drive: (root / frame.drive / layout.DRIVE_SOUND).exists() for frame in ids}
    for frame in ids:
        picture = layout.picture_path(root, frame, 'rgb')
        if not picture.exists():
            skipped.add(f'{path}: frame {frame}: expected {picture}, found none')
        elif (
            need_sound
            and not whole[frame.drive]
            and not layout.sound_paths(root, frame)[0].exists()
        ):
            sound = layout.sound_paths(root, frame)[0]
            skipped.add(f'{path}: frame {frame}: expected {sound} or an MP3, found none')
        else:
            kept.append(frame)
    skipped.close()
    return kept


def _warn_of_leaks(listed: dict[str, list[layout.FrameId]]) -> None:
    drives = {split: {frame.drive for frame in frames} for split, frames in listed.items()}
    for one, other in (('train', 'val'), ('train', 'test'), ('val', 'test')):
        shared = sorted(drives[one] & drives[other])
        if shared:
            _logger.warning(
                'warning: %d drives are in %s and in %s, the first %s: their windows overlap, '
                'so scores will be too good',
                len(shared),
                one,
                other,
                shared[0],
            )


def _of(drives: dict[str, list[layout.FrameId]], names: Sequence[str]) -> Frames:
    return tuple(frame for name in names for frame in drives[name])


def _contents(root: Path) -> str:
    count = sum(1 for _ in root.iterdir())
    return f'{count} other entries' if count else 'an empty folder'
