"""Recorded drives as training windows: a data set in the MAVD layout, heard by the front end.

Each frame's second of sound becomes one window; its labels hold for the window's centre, where the
picture was taken. They come from the teachers (``<root>/labels/<drive>.npz``) where there are any,
else from the truth that simulated drives carry.
"""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.windows import MAX_LABELS, pool_frames
from avdet_ros.training import mavd
from avdet_ros.training.labels import read_labels
from avdet_ros.training.whole_file import whole_file

LABELS = 'labels'
WINDOWS = 'windows'
"""Folders of the data set: what teachers said, and what this module makes."""


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a data set in the MAVD layout."""
    return mavd.split_path(folder, 'train').is_file()


def make_drive_windows(root: Path, rig: Rig, say: Callable[[str], None] = print) -> Path:
    """Make the windows of every drive that has none yet, or whose labels have changed.

    Args:
        root: the data set's folder.
        rig: what the drives must have been recorded with.
        say: takes a line for people.

    Returns:
        The folder with one folder a split, as `avdet_ros.training.window_files` maps it.

    Raises:
        AvdetError: a split is missing, a drive was recorded with another rig or has no labels, or
            a file of it is damaged.
    """
    front_end = FrontEnd(sample_rate_hz=rig.sample_rate_hz)
    listed = {split: _frames(root, split) for split in mavd.SPLITS}
    for split, ids in listed.items():
        folder = root / WINDOWS / split
        folder.mkdir(parents=True, exist_ok=True)
        drives: dict[str, list[mavd.FrameId]] = {}
        for frame in ids:
            drives.setdefault(frame.drive, []).append(frame)
        for index, (drive, frames) in enumerate(sorted(drives.items())):
            shard = folder / f'windows_{index:07d}.npz'
            label, changed_s = _labels(root, drive)
            if shard.exists() and shard.stat().st_mtime >= changed_s:
                continue
            _check_rig(root / drive / 'rig.yaml', rig)
            say(f'{drive}: {len(frames)} windows for {split}')
            _write_shard(shard, root, frames, label, front_end)
        facts = {
            'drives': sorted(drives),
            'image_px': [rig.camera.width_px, rig.camera.height_px],
            'microphones_m': rig.microphones_m.round(6).tolist(),
        }
        (folder / 'windows.json').write_text(json.dumps(facts, indent=1), encoding='utf-8')
    return root / WINDOWS


def _frames(root: Path, split: str) -> list[mavd.FrameId]:
    path = mavd.split_path(root, split)
    ids = mavd.read_ids(path) if path.is_file() else []
    if not ids:
        raise AvdetError(
            f'{path}: expected frames, found none; it takes three drives to have a training, '
            f'a validation and a test split'
        )
    return ids


def _labels(root: Path, drive: str) -> tuple[Callable[[mavd.FrameId], np.ndarray], float]:
    """A function from a frame to its (N, 4) boxes, and when they were written."""
    taught, true = root / LABELS / f'{drive}.npz', root / drive / 'truth' / 'frames.jsonl'
    if taught.is_file():
        labels = read_labels(taught)
        places = {str(stamp): index for index, stamp in enumerate(labels.ids)}

        def from_teachers(frame: mavd.FrameId) -> np.ndarray:
            if frame.stamp not in places:
                raise AvdetError(f'{taught}: expected labels of frame {frame}, found none')
            return labels.fused(places[frame.stamp], labels.teachers).boxes_px

        return from_teachers, taught.stat().st_mtime
    if true.is_file():
        truth = mavd.read_truth(root, drive)

        def from_truth(frame: mavd.FrameId) -> np.ndarray:
            line = truth.get(frame.stamp)
            if line is None:
                raise AvdetError(f'{true}: expected the truth of frame {frame}, found none')
            return line['boxes_px'][np.array(line['label'], bool)]

        return from_truth, true.stat().st_mtime
    raise AvdetError(
        f'{root / drive}: expected labels from teachers in {taught} or the truth in {true}, '
        f'found neither'
    )


def _check_rig(path: Path, rig: Rig) -> None:
    recorded = load_rig(path)
    found = (recorded.camera.width_px, recorded.camera.height_px)
    expected = (rig.camera.width_px, rig.camera.height_px)
    same = recorded.sample_rate_hz == rig.sample_rate_hz and np.allclose(
        recorded.microphones_m, rig.microphones_m, atol=1e-3
    )
    if found != expected or not same:
        raise AvdetError(
            f'{path}: expected the trained rig ({expected[0]} x {expected[1]} pixels), '
            f'found another ({found[0]} x {found[1]}); train with --rig {path}'
        )


def _write_shard(
    path: Path,
    root: Path,
    frames: list[mavd.FrameId],
    label: Callable[[mavd.FrameId], np.ndarray],
    front_end: FrontEnd,
) -> None:
    bands, frames_kept = front_end.n_mels, pool_frames(np.zeros(front_end.frames)).shape[-1]
    shape = (len(frames), len(front_end.feature_names), bands, frames_kept)
    arrays = {
        'features': np.zeros(shape, np.float16),
        'boxes_px': np.zeros((len(frames), MAX_LABELS, 4), np.float32),
        'count': np.zeros(len(frames), np.int64),
        'time_s': np.array([frame.stamp_ns * 1e-9 for frame in frames]),
    }
    for index, frame in enumerate(frames):
        waveform = mavd.read_sound(root, frame, front_end.sample_rate_hz)
        arrays['features'][index] = pool_frames(front_end.compute(waveform))
        boxes = label(frame)[:MAX_LABELS]
        arrays['boxes_px'][index, : len(boxes)] = boxes
        arrays['count'][index] = len(boxes)
    with whole_file(path) as file:
        np.savez(file, **arrays)
