"""Convert recorded drives to windows of format 3: any rig, labels by teachers or from truth.

Each drive becomes a shard with the array of its own rig file, so drives of several vehicles can
train one model. Each window carries the drive's own speed and air temperature, as a detector
receives them. Labels are boxes in the camera's image (`box_labels`): directions outside the image,
and boxes that its edge cuts, stay open.
"""

from __future__ import annotations

from collections.abc import Sequence
import logging
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.dataset import layout
from avdet_ros.dataset.features import PAIRS_OF_KIND, cache_sound, map_features
from avdet_ros.dataset.labels import FrameLabels, labels_of
from avdet_ros.dataset.odometry import read_air_c, read_odometry
from avdet_ros.dataset.splits import by_drive
from avdet_ros.detection.contract import microphones_in_array
from avdet_ros.detection.steering import heading_rad
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically, write_json
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.shard_folder import MANIFEST
from avdet_ros.training.any_array.box_labels import label_fields
from avdet_ros.training.data.camera_frames import canvas_for
from avdet_ros.training.run.watched_windows import seen_columns
from avdet_ros.training.teachers.label_folder import ABOUT, read_about

KIND = 'all_pairs'
"""Kind of the features: with the coherences of all pairs, as a network for any array uses them."""

_logger = logging.getLogger(__name__)


def drive_rigs(root: Path, drives: Sequence[str], rig_path: Path | None = None) -> dict[str, Rig]:
    """Load the rig of each drive: the given file, else the drive's own, else the package's.

    Drives with equal files share one object.
    """
    known: dict[bytes | None, Rig] = {}
    rigs = {}
    for drive in drives:
        path = rig_path or root / drive / 'rig.yaml'
        text = path.read_bytes() if path.is_file() else None
        if text not in known:
            known[text] = load_rig(path if text is not None else None)
        rigs[drive] = known[text]
    return rigs


def cache_drive_sound(
    root: Path,
    drives: dict[str, list[layout.FrameId]],
    rigs: dict[str, Rig],
    progress: Progress = SILENT,
) -> None:
    """Compute all drives' features, each with its own rig's front end; see `cache_sound`."""
    for rig in {id(rig): rig for rig in rigs.values()}.values():
        same_rig = {name: frames for name, frames in drives.items() if rigs[name] is rig}
        cache_sound(root, same_rig, KIND, rig, progress)


def write_drive_windows(
    root: Path,
    frames: Sequence[layout.FrameId],
    rigs: dict[str, Rig],
    out: Path,
    source: str,
    labels: Path | None = None,
    teachers: Sequence[str] = (),
) -> int:
    """Write a shard for each drive, with the features that `cache_drive_sound` computed.

    Args:
        root: the data set's folder.
        frames: frames to write; those without sound or labels are left out.
        rigs: result of `drive_rigs`.
        out: receives the shards; existing ones are quickly rewritten.
        source: source of the boxes, see `labels_of`.
        labels: folder of the teachers' labels, None for the data set's own.
        teachers: teachers whose boxes are fused, empty for all of them.

    Returns:
        Number of windows.

    Raises:
        AvdetError: files are missing or damaged, or no window is left.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = FrontEnd(pair_count=PAIRS_OF_KIND[KIND]).feature_names
    write_json(out / MANIFEST, {'features': names})
    total = with_speed = 0
    for number, (drive, members) in enumerate(by_drive(frames).items()):
        places, features = map_features(root, KIND, drive)
        known = labels_of(root, drive, source, labels, teachers)
        usable = [f for f in members if f.stamp in places and f.stamp in known]
        if not usable:
            continue
        columns_px = _columns(rigs[drive], source, labels)
        rows = [label_fields(_whole(known[f.stamp]), rigs[drive], columns_px) for f in usable]
        arrays: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        arrays |= _array_fields(rigs[drive], len(usable))
        arrays |= _motion_fields(root / drive, usable)
        with_speed += int(np.isfinite(arrays['ahead_mps']).sum())
        arrays['features'] = np.stack([features[places[frame.stamp]] for frame in usable])
        arrays['seed'] = np.full(len(usable), number, np.int64)
        with write_atomically(out / f'windows_{number:07d}.npz') as file:
            np.savez(file, **arrays)
        total += len(usable)
    if not total:
        raise AvdetError(
            f'{root}: expected sound and labels ({source}) of the {len(frames)} frames, found none'
        )
    left_out = len(frames) - total
    _logger.info('%s: %d windows, %d frames have no sound or labels', out, total, left_out)
    _logger.info('%s: own speed known in %d of %d windows', out, with_speed, total)
    return total


def _array_fields(rig: Rig, count: int) -> dict[str, np.ndarray]:
    """Return the rig's array repeated per window, in the fields of a set of drawn arrays."""
    heading_deg = np.degrees(heading_rad(rig.camera))
    yaw_deg = rig.array_yaw_deg - heading_deg
    places_m = microphones_in_array(rig).astype(np.float32)
    return {
        'rig_microphones_m': np.repeat(places_m[None], count, axis=0),
        'rig_array_yaw_deg': np.full(count, yaw_deg, np.float32),
        'camera_heading_deg': np.full(count, heading_deg, np.float32),
        'alive': np.repeat(np.asarray(rig.alive, bool)[None], count, axis=0),
    }


def _motion_fields(folder: Path, frames: Sequence[layout.FrameId]) -> dict[str, np.ndarray]:
    """Return own speed mid-window and the air's temperature; NaN where unknown."""
    way, air_c = read_odometry(folder), read_air_c(folder)
    stamps_ns = np.array([frame.stamp_ns for frame in frames], np.int64)
    ahead_mps = np.full(len(frames), np.nan) if way is None else way.ahead_at(stamps_ns)
    return {
        'ahead_mps': ahead_mps.astype(np.float32),
        'temperature_c': np.full(len(frames), np.nan if air_c is None else air_c, np.float32),
    }


def _columns(rig: Rig, source: str, labels: Path | None) -> tuple[float, float] | None:
    """Return the first and last image column that the teachers saw; None for all columns."""
    if source != 'teachers' or labels is None or not (labels / ABOUT).exists():
        return None
    about = read_about(labels)
    camera = rig.camera
    canvas = canvas_for(
        about['image_size'], camera.width_px, camera.height_px, bool(about['crop'])
    )
    return seen_columns(canvas)


def _whole(labels: FrameLabels) -> FrameLabels:
    """Remove boxes without area."""
    boxes = labels.boxes_px
    kept = np.all(boxes[:, 2:] > boxes[:, :2], axis=1) if len(boxes) else np.zeros(0, bool)
    disparity = None if labels.disparity_px is None else labels.disparity_px[kept]
    return FrameLabels(
        boxes[kept], labels.ids[kept], labels.distance_m[kept], labels.visible[kept], disparity
    )
