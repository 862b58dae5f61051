"""Frames with boxes in the selector's input format: padded to the same number of boxes each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avdet_ros.dataset import layout
from avdet_ros.dataset.features import map_features
from avdet_ros.detection.boxes import box_iou
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding.boxes import drive_numbers
from avdet_ros.evaluation.sounding.directions import box_sides_deg
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.training.sounding.sound_sums import sound_sums

MOST = 8
"""Maximum number of boxes used per frame, from the first on; teachers' boxes come best first."""

NEXT_S = 1.1
"""Largest time between two frames from which a vehicle's motion is computed."""

LINK_DEG = 12.0
"""A box of the next frame beyond this distance belongs to another vehicle."""


@dataclass(frozen=True)
class BoxSet:
    """Frames of several drives, one after another.

    Attributes:
        sums: (F, 32, n_mels) of `sound_sums`.
        sides_deg: (F, K, 2) azimuths of each box's sides, left first.
        valid: (F, K) bool, whether there is a box.
        sight: (F, K, 4) position and size of a box: azimuth and lower edge relative to the image,
            log height, width by height.
        motion: (F, K, 3) rate of azimuth, the same less the other boxes' median, rate of log
            height, from boxes alone; 0 if a vehicle is in no neighbouring frame.
        warmth: (F, K, 1) kelvin above its surroundings in the thermal picture, 0 without one.
        drive: (F,) int64, number of the drive.
        time_s: (F,) float64, since the first of all frames.
        sounds: (F, K) float32, 1 if the vehicle sounds according to the truth, 0 if not; NaN
            unknown.
        row: (F, K) int64, index of each box in the original list, -1 for none.
    """

    sums: Tensor
    sides_deg: Tensor
    valid: Tensor
    sight: Tensor
    motion: Tensor
    warmth: Tensor
    drive: Tensor
    time_s: Tensor
    sounds: Tensor
    row: Tensor

    def __len__(self) -> int:
        return len(self.drive)

    def select(self, places: Tensor) -> BoxSet:
        """Select some frames."""
        parts = {item.name: getattr(self, item.name)[places] for item in fields(self)}
        return replace(self, **parts)

    def flat(self, values: Tensor, count: int) -> np.ndarray:
        """Return (N,) values in the order of the original list of boxes.

        Args:
            values: (F, K).
            count: number of boxes in that list; boxes that did not fit get the lowest value.
        """
        found = values[self.valid].double().numpy()
        out = np.full(count, found.min(initial=np.inf) if len(found) else 0.0)
        out[self.row[self.valid].numpy()] = found
        return out


def box_set(
    root: Path,
    frames: Sequence[layout.FrameId],
    frame: np.ndarray,
    boxes_px: np.ndarray,
    rig: Rig,
    sounds: np.ndarray | None = None,
    thermal: bool = True,
    progress: Progress = SILENT,
) -> BoxSet:
    """Combine sound and boxes.

    Args:
        root: the data set's folder, with features of kind ``window``.
        frames: frames of all drives; each must have features.
        frame: (N,) index of each box into ``frames``, in ascending order.
        boxes_px: (N, 4) camera pixels.
        rig: array and camera.
        sounds: (N,) whether each box sounds, None if unknown.
        thermal: use the thermal pictures.
        progress: displays the frames.

    Raises:
        AvdetError: features are missing, or no thermal picture can be read.
    """
    boxes_px = np.asarray(boxes_px, np.float32).reshape(-1, 4)
    slot = np.arange(len(frame)) - np.searchsorted(frame, frame)
    fits = slot < MOST
    at = frame[fits], slot[fits]
    size = (len(frames), MOST)

    def padded(values: np.ndarray, fill: float = 0.0) -> Tensor:
        out = np.full((*size, *values.shape[1:]), fill, np.float32)
        out[at] = values[fits]
        return torch.from_numpy(out)

    valid, row = np.zeros(size, bool), np.full(size, -1)
    valid[at], row[at] = True, np.flatnonzero(fits)
    sides = box_sides_deg(boxes_px, rig)
    stamp_s = np.array([one.stamp_ns for one in frames], np.float64) * 1e-9
    drive = drive_numbers(frames)
    moving = motion_of_boxes(stamp_s, drive, frame, boxes_px, sides.mean(axis=1))
    warmth = np.zeros((len(boxes_px), 1))
    if thermal:
        warmth[:, 0] = warmth_of_boxes(root, frames, frame, boxes_px, progress)
    return BoxSet(
        sums=sound_sums(_features(root, frames)),
        sides_deg=padded(sides),
        valid=torch.from_numpy(valid),
        sight=padded(sight_of_boxes(boxes_px, rig)),
        motion=padded(moving),
        warmth=padded(warmth),
        drive=torch.from_numpy(drive),
        time_s=torch.from_numpy(stamp_s - stamp_s.min(initial=np.inf)),
        sounds=padded(
            np.full(len(frame), np.nan) if sounds is None else np.asarray(sounds, float), np.nan
        ),
        row=torch.from_numpy(row),
    )


def sight_of_boxes(boxes_px: np.ndarray, rig: Rig) -> np.ndarray:
    """Return (N, 4) positions and sizes of boxes, see `BoxSet`."""
    width, height = np.maximum(boxes_px[:, 2:] - boxes_px[:, :2], 1.0).T
    camera = rig.camera
    middle = (boxes_px[:, 0] + boxes_px[:, 2]) / 2 / camera.width_px
    return np.stack(
        [
            middle - 0.5,
            boxes_px[:, 3] / camera.height_px,
            np.log(height / camera.height_px),
            width / height,
        ],
        axis=1,
    )


def motion_of_boxes(
    stamp_s: np.ndarray,
    drive: np.ndarray,
    frame: np.ndarray,
    boxes_px: np.ndarray,
    azimuth_deg: np.ndarray,
) -> np.ndarray:
    """Return (N, 3) rates of boxes, each linked to the best match in the next frame; see `BoxSet`.

    The ego vehicle's own motion moves parked vehicles too. Therefore the azimuth's rate is also
    given relative to the median of the frame's other boxes.
    """
    log_height = np.log(np.maximum(boxes_px[:, 3] - boxes_px[:, 1], 1.0))
    rates, found = np.zeros((len(frame), 3)), np.zeros(len(frame))
    members = [np.flatnonzero(frame == number) for number in range(len(stamp_s))]
    for number in range(len(stamp_s) - 1):
        step_s = stamp_s[number + 1] - stamp_s[number]
        boxes_now, boxes_next = members[number], members[number + 1]
        if drive[number] != drive[number + 1] or step_s > NEXT_S or not len(boxes_next):
            continue
        apart = np.abs(azimuth_deg[boxes_now][:, None] - azimuth_deg[boxes_next][None])
        cost = apart / LINK_DEG + np.abs(
            log_height[boxes_now][:, None] - log_height[boxes_next][None]
        )
        cost -= 0.5 * box_iou(boxes_px[boxes_now], boxes_px[boxes_next])
        for place, own in enumerate(boxes_now):
            best = int(cost[place].argmin())
            if apart[place, best] > LINK_DEG or cost[:, best].argmin() != place:
                continue
            other = boxes_next[best]
            turned = (azimuth_deg[other] - azimuth_deg[own]) / step_s
            grown = (log_height[other] - log_height[own]) / step_s
            for end in (own, other):
                rates[end, 0] += turned
                rates[end, 2] += grown
                found[end] += 1
    rates /= np.maximum(found, 1)[:, None]
    for group in members:
        for box in group:
            others = rates[group[(group != box) & (found[group] > 0)], 0]
            rates[box, 1] = rates[box, 0] - (np.median(others) if len(others) else 0.0)
    return rates


def warmth_of_boxes(
    root: Path,
    frames: Sequence[layout.FrameId],
    frame: np.ndarray,
    boxes_px: np.ndarray,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Return (N,) kelvin: the warmest tenth of each box above the median of its surroundings.

    Raises:
        AvdetError: there are boxes, but no thermal picture can be read.
    """
    warmth, read = np.zeros(len(frame)), 0
    with progress.step('thermal pictures', len(frames)) as advance:
        for number, one in enumerate(frames):
            own = np.flatnonzero(frame == number)
            if len(own):
                with suppress(AvdetError):  # without a picture: as warm as the road
                    picture = layout.read_picture(root, one, 'thermal')
                    read += 1
                    for place in own:
                        warmth[place] = _warmth(picture, boxes_px[place])
            advance()
    if len(frame) and not read:
        raise AvdetError(
            f'{root}: expected thermal pictures (fl_ir_aligned) for warmth, found none; '
            '--no-thermal leaves them out'
        )
    return warmth


def _warmth(picture: np.ndarray, box_px: np.ndarray) -> float:
    from avdet_ros.dataset.thermal_counts import COUNTS_PER_K

    height, width = picture.shape[:2]
    x0, y0, x1, y1 = (int(value) for value in np.round(box_px))
    inside = picture[max(y0, 0) : max(y1, y0 + 1), max(x0, 0) : max(x1, x0 + 1)]
    wide, tall = (x1 - x0) // 2 + 4, (y1 - y0) // 4 + 4
    around = picture[
        max(y0 - tall, 0) : min(y1 + tall, height), max(x0 - wide, 0) : min(x1 + wide, width)
    ]
    if not inside.size or not around.size:
        return 0.0
    return float(np.percentile(inside, 90) - np.median(around[::2, ::2])) / COUNTS_PER_K


def _features(root: Path, frames: Sequence[layout.FrameId]) -> list[np.ndarray]:
    maps = {name: map_features(root, 'window', name) for name in {one.drive for one in frames}}
    found = []
    for one in frames:
        places, features = maps[one.drive]
        if one.stamp not in places:
            raise AvdetError(
                f'{root}: expected the sound of frame {one}, found none; leave such frames out'
            )
        found.append(features[places[one.stamp]])
    return found
