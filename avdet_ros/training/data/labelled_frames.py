"""Labelled frames to train teachers on: picture files and the boxes of their vehicles.

Teachers are trained on other drives than the student's, or on public data sets in COCO's format
(COCO itself, FLIR ADAS for thermal, Argoverse boxes projected to pictures for depth).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from avdet_ros.dataset import layout
from avdet_ros.dataset.coco import read_coco_boxes
from avdet_ros.dataset.skipped import Skipped
from avdet_ros.dataset.splits import by_drive
from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.dataset.thermal_counts import blind_pictures
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.boxes.label_quality import LEAST_PIXELS, LEAST_VISIBLE
from avdet_ros.image_codec import read_picture
from avdet_ros.training.data.camera_frames import canvas_for, network_input

_logger = logging.getLogger(__name__)

_CHECKED_FRAMES = 10


@dataclass(frozen=True)
class LabelledFrame:
    """A picture on disk and the vehicles in it.

    Attributes:
        path: file of the picture.
        boxes_px: (N, 4) float32 x_min, y_min, x_max, y_max; N may be 0.
    """

    path: Path
    boxes_px: np.ndarray


def read_coco(annotations: Path, pictures: Path) -> list[LabelledFrame]:
    """Read annotations in COCO's format.

    The categories used as vehicles are logged; see `coco.read_coco_boxes`.

    Args:
        annotations: the JSON file.
        pictures: folder that the file names in it are relative to.

    Raises:
        AvdetError: the file is not in COCO's format, names no vehicle category, or points outside
            the folder.
    """
    found = read_coco_boxes(annotations)
    _logger.info('%s: %s', annotations, found.sentence)
    root = pictures.resolve()
    frames = []
    for name, boxes_px in found.boxes_px.items():
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise AvdetError(f'{annotations}: expected pictures inside {pictures}, found {name}')
        frames.append(LabelledFrame(path, boxes_px))
    return frames


class FrameSet(Dataset):
    """Labelled frames as network inputs.

    An unreadable picture is replaced by the next one; too many of them stop the training.

    Args:
        frames: pictures and boxes.
        modality: rgb, depth or thermal.
        image_size: height and width of the network's input.
        crop: the paper's columns only, see `canvas_for`.
        flip: flip half of the frames horizontally, chosen by seed, epoch and position.
        seed: seed of the flips.
        scaling: normalisation of the pictures, see `camera_frames.SCALINGS`.
    """

    def __init__(
        self,
        frames: list[LabelledFrame],
        modality: str,
        image_size: tuple[int, int],
        crop: bool = True,
        flip: bool = False,
        seed: int = 0,
        scaling: str = 'own',
    ) -> None:
        self.scaling = scaling
        self.frames, self.modality, self.image_size = frames, modality, image_size
        self.crop, self.flip, self.seed = crop, flip, seed
        self.epoch = 0
        self._skipped = Skipped(f'{modality} pictures', len(frames))
        self._unreadable: set[int] = set()

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        index, picture = self._readable(index)
        frame = self.frames[index]
        if picture.ndim == 3:  # without an alpha channel
            picture = picture[..., :3]
        elif self.modality != 'thermal':
            picture = np.repeat(picture[..., None], 3, axis=2)
        height, width = picture.shape[:2]
        boxes = frame.boxes_px
        if self.flip and np.random.default_rng([self.seed, self.epoch, index]).random() < 0.5:
            picture = picture[:, ::-1]
            boxes = boxes[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32)
            boxes = boxes + np.array([width, 0, width, 0], np.float32)
        canvas = canvas_for(self.image_size, width, height, self.crop)
        pixels = network_input(picture, self.modality, canvas, self.scaling)
        placed = canvas.to_network(boxes)
        large = np.all(placed[:, 2:] - placed[:, :2] >= 2, axis=1)
        return torch.from_numpy(pixels), torch.from_numpy(placed[large])

    def _readable(self, wanted: int) -> tuple[int, np.ndarray]:
        """Return the first readable picture at or after an index, and its index."""
        for step in range(len(self.frames)):
            place = (wanted + step) % len(self.frames)
            try:
                return place, read_picture(self.frames[place].path)
            except AvdetError as error:
                if place not in self._unreadable:
                    self._unreadable.add(place)
                    self._skipped.add(error)
        raise AvdetError(f'{self.frames[wanted].path}: expected a picture there or in any other')


def blind_frames(frames: Sequence[LabelledFrame]) -> str:
    """Return a warning if most frames of a thermal teacher would be uniformly grey, else ''."""
    pictures = []
    for index in evenly_spaced(len(frames), _CHECKED_FRAMES):
        with suppress(AvdetError):  # counted when the frame is loaded
            path = frames[index].path
            pictures.append((str(path), read_picture(path)))
    return blind_pictures(pictures)


def collate(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[Tensor]]:
    """Stack pictures; boxes stay a list because their number differs."""
    pictures, boxes = zip(*items, strict=True)
    return torch.stack(pictures), list(boxes)


def true_frames(
    root: Path, frames: Sequence[layout.FrameId], modality: str
) -> list[LabelledFrame]:
    """Return frames with the visible boxes from the drives' own truth.

    Args:
        root: the data set's folder.
        frames: frames to load.
        modality: rgb, depth or thermal.

    Raises:
        AvdetError: a drive has no truth, or too many frames have none.
    """
    found = []
    skipped = Skipped(f'truth of {root}', len(frames))
    for drive, members in by_drive(frames).items():
        if not (root / drive / 'truth' / 'frames.jsonl').is_file():
            raise AvdetError(
                f'{root / drive}: expected truth/frames.jsonl to teach a teacher with, found '
                'none; teach it with annotations (avdet train teacher --coco) and name its '
                'folder as teachers.folder'
            )
        truth = layout.read_truth(root, drive)
        for frame in members:
            if frame.stamp not in truth:
                skipped.add(f'{root / drive}/truth: expected frame {frame}, found none')
                continue
            line = truth[frame.stamp]
            # Unknown values are NaN and compare as not less, so these boxes stay.
            hidden = (np.array(line['pixels'], float) < LEAST_PIXELS) | (
                np.array(line['visible_fraction'], float) < LEAST_VISIBLE
            )
            path = layout.picture_path(root, frame, modality)
            found.append(LabelledFrame(path, line['boxes_px'][~hidden.reshape(-1)]))
    skipped.close()
    return found
