"""Label a data set with teachers, each frame once; see `dataset.labels` for the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
import logging
from pathlib import Path

import numpy as np
import torch

from avdet_ros.dataset import layout
from avdet_ros.dataset.depth_colours import box_disparities
from avdet_ros.dataset.labels import (
    SCORE_THRESHOLD,
    DriveLabels,
    empty_labels,
    write_labels,
)
from avdet_ros.dataset.skipped import Skipped
from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.dataset.thermal_counts import blind_pictures
from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.data.camera_frames import Canvas, canvas_for, network_input
from avdet_ros.training.registries import TEACHERS
from avdet_ros.training.teachers.base import Teacher, TeacherOutput
from avdet_ros.training.teachers.label_folder import begin_labels, skipped_in

_logger = logging.getLogger(__name__)

BATCH = 8
"""Frames per prediction of a teacher."""

CHECKED_PICTURES = 10
"""Number of thermal pictures whose contrast is checked before a drive is labelled."""


@dataclass(frozen=True)
class FoundInPicture:
    """One teacher's boxes in one picture.

    Attributes:
        boxes_px: (N, 4) float32, camera pixels, clipped to the area that the teacher sees.
        scores: (N,) float32.
        disparity_px: (N,) float32, see `depth_colours.box_disparities`; NaN where unknown.
    """

    boxes_px: np.ndarray
    scores: np.ndarray
    disparity_px: np.ndarray


def open_teachers(
    folder: Path,
    modalities: Sequence[str],
    score: float = SCORE_THRESHOLD,
    model: str = 'efficientdet',
) -> dict[str, Teacher]:
    """Load teachers from a folder with one subfolder per modality.

    Args:
        folder: folder of the teachers.
        modalities: modalities to load.
        score: threshold below which boxes are left out.
        model: name of a registered teacher.

    Raises:
        AvdetError: a teacher is missing or does not fit, or their input sizes differ.
    """
    teachers: dict[str, Teacher] = {}
    for modality in modalities:
        teacher = TEACHERS.find(model).load(folder / modality, score)
        if teacher.modality != modality:
            raise AvdetError(
                f'{folder / modality}: expected a teacher for {modality}, found one for '
                f'{teacher.modality}'
            )
        teachers[modality] = teacher
    sizes = {teacher.image_size for teacher in teachers.values()}
    if len(sizes) > 1:
        raise AvdetError(
            f'{folder}: expected teachers with one input size, found '
            f'{" and ".join(f"{height} x {width}" for height, width in sorted(sizes))}'
        )
    return teachers


def label_drives(
    root: Path,
    drives: Mapping[str, Sequence[layout.FrameId]],
    teachers: Mapping[str, Teacher],
    out: Path,
    crop: bool | None = None,
    progress: Progress = SILENT,
) -> None:
    """Label every drive that these teachers have not labelled yet.

    Args:
        root: the data set's folder.
        drives: frames of each drive to label.
        teachers: by modality, from `open_teachers` or any other `Teacher`.
        out: receives ``<drive>.npz`` and `label_folder.ABOUT`.
        crop: the paper's columns only, see `canvas_for`; None takes the view that the teachers
            were trained on.
        progress: displays the frames done.

    Raises:
        AvdetError: teachers that do not fit, too many unreadable pictures, or a full disk.
    """
    first = next(iter(teachers.values()))
    crop = _crop(teachers, crop)
    about = {
        'teachers': {name: teacher.fingerprint for name, teacher in teachers.items()},
        'image_size': list(first.image_size),
        'crop': crop,
        'score': first.score,
    }
    begin_labels(out, about)
    before = {name: skipped_in(out, name, frames) for name, frames in drives.items()}
    missing = {name: drives[name] for name, count in before.items() if count is None}
    if not missing:
        return
    total = sum(map(len, missing.values()))
    _logger.info(
        '%s: %s look at %d frames of %d drives', out, ', '.join(teachers), total, len(missing)
    )
    skipped = Skipped('labels', sum(map(len, drives.values())))
    skipped.recall(sum(count or 0 for count in before.values()))
    with progress.step('labels', total) as advance:
        for name, frames in sorted(missing.items()):
            if 'thermal' in teachers and (blind := _blind(root, frames)):
                _logger.warning('%s: %s', root / name, blind)
            labels = label_drive(root, frames, teachers, crop, skipped, advance)
            write_labels(out / f'{name}.npz', labels)
    skipped.close()


def _blind(root: Path, frames: Sequence[layout.FrameId]) -> str:
    """Return a warning if most thermal pictures of a drive would be uniformly grey, else ''."""
    pictures = []
    for index in evenly_spaced(len(frames), CHECKED_PICTURES):
        path = layout.picture_path(root, frames[index], 'thermal')
        with suppress(AvdetError):  # counted when the frame is labelled
            pictures.append((str(path), layout.read_picture(root, frames[index], 'thermal')))
    return blind_pictures(pictures)


def label_drive(
    root: Path,
    frames: Sequence[layout.FrameId],
    teachers: Mapping[str, Teacher],
    crop: bool,
    skipped: Skipped,
    tick: Callable[[int], None] = lambda done: None,
) -> DriveLabels:
    """Label one drive's frames with all teachers.

    Args:
        root: the data set's folder.
        frames: frames of one drive.
        teachers: by modality; the file keeps their order.
        crop: see `canvas_for`.
        skipped: counts frames that have an unreadable picture.
        tick: called with the number of frames done since the last call.
    """
    size = next(iter(teachers.values())).image_size
    # A user's own teacher need not define a scaling.
    scaling = {name: getattr(teacher, 'scaling', 'own') for name, teacher in teachers.items()}
    kept: list[str] = []
    unreadable: list[str] = []
    outputs: list[list[TeacherOutput]] = []
    found: list[list[FoundInPicture]] = []
    for first in range(0, len(frames), BATCH):
        part = frames[first : first + BATCH]
        canvases: list[Canvas] = []
        depths: list[np.ndarray | None] = []
        pictures: dict[str, list[np.ndarray]] = {modality: [] for modality in teachers}
        for frame in part:
            try:
                seen = {name: layout.read_picture(root, frame, name) for name in teachers}
                height, width = next(iter(seen.values())).shape[:2]
                canvas = canvas_for(size, width, height, crop)
                inputs = {
                    name: network_input(seen[name], name, canvas, scaling[name])
                    for name in teachers
                }
            except AvdetError as error:
                skipped.add(f'frame {frame}: {error}')
                unreadable.append(frame.stamp)
                continue
            kept.append(frame.stamp)
            canvases.append(canvas)
            depths.append(seen.get('depth'))
            for name, pixels in inputs.items():
                pictures[name].append(pixels)
        if pictures[next(iter(teachers))]:
            predicted = [
                teacher.predict(torch.from_numpy(np.stack(pictures[name])))
                for name, teacher in teachers.items()
            ]
            answers = [list(of_frame) for of_frame in zip(*predicted, strict=True)]
            outputs += answers
            found += [
                [found_in_picture(output, canvas, depth) for output in of_frame]
                for of_frame, canvas, depth in zip(answers, canvases, depths, strict=True)
            ]
        tick(len(part))
    names = tuple(teachers)
    labels = _gathered(kept, outputs, found, names) if kept else empty_labels(names)
    return replace(labels, skipped=np.array(unreadable, 'U64'))


def found_in_picture(
    output: TeacherOutput, canvas: Canvas, depth: np.ndarray | None
) -> FoundInPicture:
    """Convert a teacher's boxes to camera pixels and read their disparities.

    Args:
        output: the teacher's predictions.
        canvas: placement of the picture on the teacher's input.
        depth: depth picture of the same instant, None if there is none.
    """
    placed = canvas.to_image(output.boxes)
    placed[:, [0, 2]] = placed[:, [0, 2]].clip(
        canvas.left_px, canvas.left_px + canvas.kept_width_px
    )
    placed[:, [1, 3]] = placed[:, [1, 3]].clip(0, canvas.image_height_px)
    whole = np.all(placed[:, 2:] - placed[:, :2] >= 1, axis=1)
    boxes = placed[whole].astype(np.float32)
    disparity = np.full(len(boxes), np.nan, np.float32)
    if depth is not None:
        disparity = box_disparities(depth, boxes)
    return FoundInPicture(boxes, output.scores[whole].astype(np.float32), disparity)


def _gathered(
    ids: list[str],
    outputs: list[list[TeacherOutput]],
    found: list[list[FoundInPicture]],
    teachers: tuple[str, ...],
) -> DriveLabels:
    each = [item for of_frame in found for item in of_frame]
    counts = [len(item.scores) for item in each]
    frame = np.repeat(np.arange(len(found)).repeat(len(teachers)), counts)
    teacher = np.repeat(np.tile(np.arange(len(teachers)), len(found)), counts)
    try:
        maps = np.array(
            [[_flat_maps(one) for one in of_frame] for of_frame in outputs], np.float16
        )
        embedding = np.array([[one.embedding for one in of_frame] for of_frame in outputs])
        features = np.array([[one.features for one in of_frame] for of_frame in outputs])
    except ValueError as error:
        raise AvdetError(
            'teachers: expected feature maps of one shape, found different ones: take one '
            'configuration for all'
        ) from error
    sizes = [level.shape for level in outputs[0][0].attention]
    return DriveLabels(
        ids=np.array(ids),
        teachers=teachers,
        boxes_px=np.concatenate([item.boxes_px for item in each]),
        scores=np.concatenate([item.scores for item in each]),
        frame=frame.astype(np.int32),
        teacher=teacher.astype(np.int8),
        disparity_px=np.concatenate([item.disparity_px for item in each]),
        attention=maps,
        attention_sizes=np.array(sizes, np.int32),
        embedding=embedding.astype(np.float16),
        features=features.astype(np.float16),
    )


def _flat_maps(output: TeacherOutput) -> np.ndarray:
    """Concatenate the attention maps, each scaled to a maximum of 1."""
    scaled = [level / max(float(level.max()), 1e-12) for level in output.attention]
    return np.concatenate([level.ravel() for level in scaled])


def _crop(teachers: Mapping[str, Teacher], wanted: bool | None) -> bool:
    """Return whether the teachers see the paper's columns only; all must agree."""
    for name, teacher in teachers.items():
        wanted = teacher.crop if wanted is None else wanted
        if teacher.crop != wanted:
            words = {True: 'with the crop', False: 'without the crop'}
            raise AvdetError(
                f'{name} teacher: expected one taught {words[wanted]}, found one taught '
                f'{words[teacher.crop]}'
            )
    return bool(wanted)
