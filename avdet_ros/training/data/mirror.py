"""Mirror windows left to right: microphones, boxes and the teachers' maps together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.detection.contract import microphones_in_array
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.data.batch import Batch

SYMMETRY_TOLERANCE_M = 0.005
"""Tolerated distance of a microphone from another one's mirror image."""

Cells = Callable[[int, int], tuple[int, int]]
"""Function from a level's size to the cells that the picture covers, see `PictureArea.cells`."""


@dataclass(frozen=True)
class Mirror:
    """Mapping from the features of a scene to those of the mirrored scene.

    Attributes:
        channels: (32,) int64: channel c of the mirrored scene is channel ``channels[c]``.
        signs: (32,) float32 factors; -1 where the pair is stored in reverse order, which
            conjugates its coherence.
    """

    channels: np.ndarray
    signs: np.ndarray


def find_mirror(rig: Rig) -> Mirror:
    """Find the mirror of a rig that is symmetric about its x-z plane.

    Raises:
        AvdetError: microphones or camera are not symmetric, so no mirror exists.
    """
    positions_m = microphones_in_array(rig) * [1, -1, 1]
    apart_m = np.linalg.norm(positions_m[:, None] - microphones_in_array(rig)[None], axis=-1)
    image_of = apart_m.argmin(axis=1)
    camera = rig.camera
    left, right = camera.directions([[0, camera.cy], [camera.width_px, camera.cy]])
    askew = np.abs(left * [1, -1, 1] - right).max() > 0.002
    off_m = max(
        abs(camera.position_m[1]), abs(rig.array_position_m[1]), abs(rig.array_yaw_deg) / 60
    )
    if apart_m.min(axis=1).max() > SYMMETRY_TOLERANCE_M or askew or off_m > SYMMETRY_TOLERANCE_M:
        raise AvdetError(
            'augmentation.mirror: expected microphones and camera that are symmetric about '
            "the vehicle's x-z plane, found a rig that is not: set it to false"
        )
    channels = list(image_of)
    signs = [1.0] * MICROPHONES
    for first, second in PAIRS:
        # In the mirrored scene, microphone i records what its mirror image recorded.
        pair = (int(image_of[first]), int(image_of[second]))
        stored = pair in PAIRS
        if not stored and pair[::-1] not in PAIRS:
            raise AvdetError(
                'augmentation.mirror: expected microphones numbered around the array, as in '
                f'config/rig.yaml, found pairs {first}-{second} and {pair[0]}-{pair[1]} as mirror '
                'images: set it to false'
            )
        index = PAIRS.index(pair if stored else pair[::-1])
        channels += [MICROPHONES + 2 * index, MICROPHONES + 2 * index + 1]
        signs += [1.0, 1.0 if stored else -1.0]
    return Mirror(np.array(channels), np.array(signs, np.float32))


def mirrored(
    spectrogram: Tensor, boxes: list[Tensor], mirror: Mirror
) -> tuple[Tensor, list[Tensor]]:
    """Mirror features and boxes of windows.

    Args:
        spectrogram: (B, 32, n_mels, T).
        boxes: per window (n, 4), relative to the image size.
        mirror: mirror of the rig.
    """
    signs = torch.from_numpy(mirror.signs).to(spectrogram)[:, None, None]
    flipped = [mirrored_boxes(box) for box in boxes]
    return spectrogram[:, torch.from_numpy(mirror.channels)] * signs, flipped


def mirrored_boxes(boxes: Tensor) -> Tensor:
    """Mirror (n, 4) boxes that are relative to the image size."""
    return torch.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], dim=1)


def mirror_batch(
    batch: Batch,
    chosen: Tensor,
    mirror: Mirror,
    cells: Cells,
) -> Batch:
    """Mirror windows of a batch: microphones, boxes, attention maps and features together.

    Args:
        batch: not modified.
        chosen: (B,) bool, windows to mirror.
        mirror: mirror of the rig.
        cells: cells of the teachers' maps that the picture covers; only these are mirrored.
    """
    indices = torch.nonzero(chosen).flatten().tolist()
    if not indices:
        return batch
    channels = batch.spectrogram.shape[1]
    # Features of levels alone use only the first channels of the mirror.
    part = Mirror(mirror.channels[:channels], mirror.signs[:channels])
    spectrogram, boxes = batch.spectrogram.clone(), list(batch.boxes)
    spectrogram[chosen], flipped = mirrored(
        spectrogram[chosen], [boxes[index] for index in indices], part
    )
    for index, box in zip(indices, flipped, strict=True):
        boxes[index] = box
    open_areas = list(batch.open_areas)
    for index in indices if open_areas else ():
        open_areas[index] = mirrored_boxes(open_areas[index])
    return replace(
        batch,
        spectrogram=spectrogram,
        boxes=boxes,
        open_areas=open_areas,
        attention=[_flipped(level, chosen, cells) for level in batch.attention],
        teacher_features=_flipped(batch.teacher_features, chosen, cells),
    )


def _flipped(maps: Tensor, chosen: Tensor, cells: Cells) -> Tensor:
    if maps.numel() == 0:
        return maps
    _, columns = cells(*maps.shape[-2:])
    result = maps.clone()
    result[chosen, ..., :columns] = maps[chosen, ..., :columns].flip(-1)
    return result
