"""Recorded drives as training windows: a data set in the MAVD layout, heard by the front end.

Each drive becomes one file of its split's folder, each frame's second of sound one window. Its
labels hold for the window's centre, where the picture was taken. They come from the teachers
(``<root>/labels/<drive>.npz``) where there are any, else from the truth that simulated drives
carry.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from avdet_ros.audio.features import MAX_LABELS, FrontEnd, pool_frames
from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import read_labels
from avdet_ros.dataset.skipped import Skipped
from avdet_ros.dataset.splits import by_drive
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically, write_json
from avdet_ros.rig import Rig
from avdet_ros.rig_match import check_recorded_rig, rig_numbers

LABELS = 'labels'
WINDOWS = 'windows'
"""Folders of the data set: what teachers said, and what this module makes."""


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a data set in the MAVD layout."""
    return layout.split_path(folder, 'train').is_file()


def make_drive_windows(root: Path, rig: Rig, say: Callable[[str], None] = print) -> Path:
    """Make the windows of every drive that has none yet, or whose labels or frames have changed.

    Frames without readable sound, and those that teachers could not label, are left out.

    Args:
        root: the data set's folder.
        rig: what the drives must have been recorded with.
        say: takes a line for people.

    Returns:
        The folder with one folder a split, as `avdet_ros.training.data.simulated` maps it.

    Raises:
        AvdetError: a split is missing, a drive was recorded with another rig or has no labels, or
            too many frames have none or no sound.
    """
    front_end = FrontEnd.of(rig)
    listed = {split: by_drive(_frames(root, split)) for split in layout.SPLITS}
    total = sum(len(frames) for drives in listed.values() for frames in drives.values())
    skipped = Skipped('windows', total, say)
    for split, drives in listed.items():
        folder = root / WINDOWS / split
        shards = {drive: folder / f'windows_{drive}.npz' for drive in drives}
        for path in set(folder.glob('windows_*.npz')) - set(shards.values()):
            path.unlink()  # of a drive that is no longer in this split
        for drive, frames in sorted(drives.items()):
            check_recorded_rig(root / drive / 'rig.yaml', rig)
            said = _label_file(root, drive)
            source = _mark(said)
            left_out = _skipped_in(shards[drive], frames, source)
            if left_out is not None:
                skipped.recall(left_out)
                continue
            say(f'{drive}: {len(frames)} windows for {split}')
            label = _labels(root, drive, said)
            _write_shard(shards[drive], root, frames, label, front_end, source, skipped)
        facts = {'drives': sorted(drives), **rig_numbers(rig)}
        write_json(folder / 'windows.json', facts)
    skipped.close()
    return root / WINDOWS


def _frames(root: Path, split: str) -> list[layout.FrameId]:
    path = layout.split_path(root, split)
    ids = layout.read_ids(path) if path.is_file() else []
    if not ids:
        raise AvdetError(
            f'{path}: expected frames, found none; it takes three drives to have a training, '
            f'a validation and a test split'
        )
    return ids


def _skipped_in(shard: Path, frames: list[layout.FrameId], source: str) -> int | None:
    """How many frames a drive's windows leave out; None if they are still to be made."""
    if not shard.exists():
        return None
    try:
        with np.load(shard, allow_pickle=False) as file:
            skipped = file['skipped'].tolist()
            known = {*file['ids'].tolist(), *skipped}
            same = str(file['source']) == source
    except Exception:  # a damaged shard is made anew
        return None
    return len(skipped) if same and known == {frame.stamp for frame in frames} else None


def _mark(said: Path) -> str:
    """Tells a label file from others, and from what it was before."""
    state = said.stat()
    return f'{said.name} {state.st_size} {state.st_mtime_ns}'


def _label_file(root: Path, drive: str) -> Path:
    """What the teachers said of a drive, or its truth where they were not asked."""
    taught, true = root / LABELS / f'{drive}.npz', root / drive / 'truth' / 'frames.jsonl'
    for path in (taught, true):
        if path.is_file():
            return path
    raise AvdetError(
        f'{root / drive}: expected labels from teachers in {taught} or the truth in {true}, '
        f'found neither'
    )


def _labels(root: Path, drive: str, said: Path) -> Callable[[layout.FrameId], np.ndarray]:
    """A function from a frame to its (N, 4) boxes, by the drive's `_label_file`."""
    if said.suffix == '.npz':
        labels = read_labels(said, mapped=True)
        places = {str(stamp): index for index, stamp in enumerate(labels.ids)}

        def from_teachers(frame: layout.FrameId) -> np.ndarray:
            if frame.stamp not in places:
                raise AvdetError(f'{said}: expected labels of frame {frame}, found none')
            return labels.fused(places[frame.stamp], labels.teachers).boxes_px

        return from_teachers
    truth = layout.read_truth(root, drive)

    def from_truth(frame: layout.FrameId) -> np.ndarray:
        line = truth.get(frame.stamp)
        if line is None:
            raise AvdetError(f'{said}: expected the truth of frame {frame}, found none')
        return line['boxes_px'][np.array(line['label'], bool)]

    return from_truth


def _write_shard(
    path: Path,
    root: Path,
    frames: list[layout.FrameId],
    label: Callable[[layout.FrameId], np.ndarray],
    front_end: FrontEnd,
    source: str,
    skipped: Skipped,
) -> None:
    bands, frames_kept = front_end.n_mels, pool_frames(np.zeros(front_end.frames)).shape[-1]
    shape = (len(frames), len(front_end.feature_names), bands, frames_kept)
    features, boxes_px = np.zeros(shape, np.float16), np.zeros((len(frames), MAX_LABELS, 4), 'f4')
    kept: list[layout.FrameId] = []
    counts: list[int] = []
    for frame in frames:
        try:
            waveform = layout.read_sound(root, frame, front_end.sample_rate_hz)
            boxes = label(frame)[:MAX_LABELS]
        except AvdetError as error:
            skipped.add(error)
            continue
        features[len(kept)] = pool_frames(front_end.compute(waveform))
        boxes_px[len(kept), : len(boxes)] = boxes
        kept.append(frame)
        counts.append(len(boxes))
    left_out = sorted({frame.stamp for frame in frames} - {frame.stamp for frame in kept})
    with write_atomically(path) as file:
        np.savez(
            file,
            features=features[: len(kept)],
            boxes_px=boxes_px[: len(kept)],
            count=np.array(counts, np.int64),
            time_s=np.array([frame.stamp_ns * 1e-9 for frame in kept]),
            ids=np.array([frame.stamp for frame in kept]),
            skipped=np.array(left_out, 'U64'),
            source=np.array(source),
        )
