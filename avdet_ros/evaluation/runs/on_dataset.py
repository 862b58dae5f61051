"""Runs of detectors on recorded drives in the MAVD layout, frame by frame.

Two kinds of truth are kept separate: the fused labels of all teachers, the same for every model
whichever teachers it was distilled from (MM-DistillNet, section 4.3), and the true boxes of
simulated drives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
from pathlib import Path

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import LABELS, FrameLabels, label_sources, labels_of
from avdet_ros.dataset.odometry import read_air_c, read_odometry
from avdet_ros.dataset.subsets import WHOLE, Subset, listed_motions, motion_of, subset_frames
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.baselines import (
    ConstantBoxes,
    LabelStatistics,
    SteeredResponse,
    fit_labels,
)
from avdet_ros.evaluation.runs.detectors import (
    UNKNOWN_STATE,
    DriveState,
    StateCount,
    WindowDetector,
    any_steered,
    detect_window,
)
from avdet_ros.evaluation.runs.on_simulation import CONSTANT, STEERED
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig, load_rig
from avdet_ros.rig_match import rig_digest

FUSED, TRUE = 'fused labels', 'true boxes'
"""The kinds of truth."""

MOST_BROKEN = 0.05
"""Largest share of unreadable frames; more would change the meaning of the scores."""

Truth = Callable[[layout.FrameId], TruthFrame | None]


@dataclass(frozen=True)
class DatasetRecords:
    """Detections on a folder's frames, against each kind of truth.

    Attributes:
        records: one record a drive, by kind of truth; a kind that no drive has is missing.
        frames: frames of each drive's records, by kind of truth and drive.
        broken: one sentence for each frame that was left out.
        state_counts: counts of the inputs of steered models; None without such a model.
    """

    records: dict[str, list[DriveRecord]]
    frames: dict[str, dict[str, list[layout.FrameId]]]
    broken: list[str]
    state_counts: StateCount | None = None


def frames_of(
    root: Path, split: str = 'test', subset: Subset = WHOLE
) -> dict[str, list[layout.FrameId]]:
    """Return the frames of a split by drive, drives in the order of their time.

    Raises:
        AvdetError: the folder is no data set, or it has no such frames.
    """
    if not root.is_dir():
        raise AvdetError(f'{root}: expected a folder with drives in the MAVD layout, found none')
    path = layout.split_path(root, split)
    if not path.is_file():
        names = sorted(path.name for path in root.glob('*.txt'))
        raise AvdetError(
            f'{root}: expected the split file {path.name}, found {", ".join(names) or "none"}'
        )
    drives: dict[str, list[layout.FrameId]] = {}
    for frame in subset_frames(root, split, subset):
        drives.setdefault(frame.drive, []).append(frame)
    return drives


def dataset_rig(root: Path, drives: Sequence[str], rig_path: Path | None = None) -> Rig:
    """Load the rig of a folder's drives: from the given file, else theirs, else the package's.

    Raises:
        AvdetError: drives were recorded with different rigs.
    """
    if rig_path is not None:
        return load_rig(rig_path)
    files = {
        (path := root / drive / 'rig.yaml').read_bytes(): path
        for drive in drives
        if (root / drive / 'rig.yaml').is_file()
    }
    rigs = {rig_digest(rig): (rig, path) for path in files.values() for rig in [load_rig(path)]}
    if len(rigs) > 1:
        (_, first), (_, second), *_ = rigs.values()
        raise AvdetError(
            f'{root}: expected drives of one rig, found different ones in {first} and {second}'
        )
    rig, _ = next(iter(rigs.values()), (None, None))
    return rig or load_rig()


def run_on_dataset(
    root: Path,
    drives: dict[str, list[layout.FrameId]],
    detectors: dict[str, WindowDetector],
    front_end: FrontEnd,
    labels: Path | None = None,
    progress: Progress = SILENT,
) -> DatasetRecords:
    """Run every detector over the sound of every frame.

    Models for any array receive the recorded speed and air temperature, as on the vehicle.

    Args:
        root: the data set's folder.
        drives: result of `frames_of`.
        detectors: detectors by name.
        front_end: computes the features.
        labels: folder of the teachers' labels, None for ``<root>/labels``.
        progress: shows how many frames are done.

    Raises:
        AvdetError: no drive has truth of any kind, or too many frames cannot be read.
    """
    truths = {drive: truths_of(root, drive, labels) for drive in drives}
    if not any(truths.values()):
        raise AvdetError(
            f'{root}: expected labels from teachers in {labels or root / LABELS} or the truth in '
            f'<drive>/truth/frames.jsonl, found neither; avdet train label makes the first'
        )
    state_counts = StateCount() if any_steered(detectors) else None
    collected, motions = DatasetRecords({}, {}, [], state_counts), listed_motions(root)
    count = sum(len(frames) for frames in drives.values())
    with progress.step('frames', count) as advance:
        for drive, frames in drives.items():
            conditions = conditions_of(root, drive, motions)
            records = {
                kind: DriveRecord.empty(drive, detectors, conditions) for kind in truths[drive]
            }
            kept: dict[str, list[layout.FrameId]] = {kind: [] for kind in records}
            states = (
                [UNKNOWN_STATE] * len(frames)
                if state_counts is None
                else drive_states(root, frames)
            )
            for frame, state in zip(frames, states, strict=True):
                advance()
                true_frames = {kind: truth(frame) for kind, truth in truths[drive].items()}
                try:
                    waveform = layout.read_sound(root, frame, front_end.sample_rate_hz)
                except AvdetError as error:
                    _leave_out(collected.broken, error, count, root)
                    continue
                if state_counts is not None:
                    state_counts.add(state)
                features = front_end.compute(waveform)
                result = detect_window(detectors, waveform, features, state)
                stamp_s = (frame.stamp_ns - frames[0].stamp_ns) * 1e-9
                for kind, true in true_frames.items():
                    if true is not None:
                        kept[kind].append(frame)
                        records[kind].add_window(stamp_s, true, result)
            for kind, record in records.items():
                if record.truth:
                    collected.records.setdefault(kind, []).append(record)
                    collected.frames.setdefault(kind, {})[drive] = kept[kind]
    return collected


def drive_states(root: Path, frames: Sequence[layout.FrameId]) -> list[DriveState]:
    """Read the ego vehicle's speed and the air temperature at each frame of a drive.

    Raises:
        AvdetError: a file of the drive is damaged.
    """
    folder = root / frames[0].drive
    odometry, air_c = read_odometry(folder), read_air_c(folder)
    if odometry is None:
        return [DriveState(None, air_c)] * len(frames)
    speeds = odometry.ahead_at([frame.stamp_ns for frame in frames]).tolist()
    return [DriveState(None if math.isnan(speed) else speed, air_c) for speed in speeds]


def _leave_out(broken: list[str], error: AvdetError, count: int, root: Path) -> None:
    """Note a frame that cannot be read; end the run if too many of `count` are noted."""
    broken.append(str(error))
    if len(broken) > max(1, MOST_BROKEN * count):
        raise AvdetError(
            f'{root}: expected at most {MOST_BROKEN:.0%} of {count} frames to be '
            f'unreadable, found {len(broken)}, the last: {error}'
        ) from error


def truths_of(root: Path, drive: str, labels: Path | None = None) -> dict[str, Truth]:
    """Return, by kind of truth, a function from a frame to its true boxes or None if unknown.

    Raises:
        AvdetError: a file exists but is damaged.
    """
    kinds = {'teachers': FUSED, 'truth': TRUE}
    return {
        kinds[source]: _truth(labels_of(root, drive, source, labels))
        for source in label_sources(root, drive, labels)
    }


def _truth(labels_by_stamp: dict[str, FrameLabels]) -> Truth:
    """Make a function from a frame to its vehicles."""

    def truth(frame: layout.FrameId) -> TruthFrame | None:
        labels = labels_by_stamp.get(frame.stamp)
        if labels is None:
            return None
        return TruthFrame(
            labels.boxes_px.astype(np.float64), labels.ids, labels.distance_m, labels.visible
        )

    return truth


def conditions_of(root: Path, drive: str, motions: dict[str, str]) -> dict[str, str]:
    """Return light and motion of a drive, from its name, its notes or the split files."""
    light = 'day' if layout.FrameId(0, drive, '').is_day else 'night'
    return {'light': light, 'motion': motion_of(root, drive, motions)}


def baseline_statistics(root: Path, labels: Path | None = None) -> LabelStatistics | None:
    """Fit the baselines on the training split's labels; None where there are none."""
    try:
        drives = frames_of(root, 'train')
    except AvdetError:
        return None
    boxes = []
    for drive, frames in drives.items():
        truths = truths_of(root, drive, labels)
        truth = truths.get(TRUE) or truths.get(FUSED)
        true_frames = [truth(frame) for frame in frames] if truth else []
        boxes += [(true.boxes_px, true.distance_m) for true in true_frames if true is not None]
    if not any(len(each) for each, _ in boxes):
        return None
    return fit_labels(boxes)


def baseline_detectors(statistics: LabelStatistics, rig: Rig) -> dict[str, WindowDetector]:
    """Make the baselines that these statistics allow: direction finding needs a distance."""
    detectors: dict[str, WindowDetector] = {CONSTANT: ConstantBoxes(statistics)}
    if np.isfinite(statistics.typical_distance_m):
        detectors[STEERED] = SteeredResponse(statistics, rig)
    return detectors
