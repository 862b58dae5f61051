"""Asking the teachers about a data set's frames, once; `labels` says what is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import json
from pathlib import Path

import numpy as np
import torch

from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import (
    SCORE_THRESHOLD,
    DriveLabels,
    nothing_said,
    read_labels,
    write_labels,
)
from avdet_ros.dataset.skipped import Skipped
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.training.data.camera_frames import Canvas, canvas_for, network_input
from avdet_ros.training.teachers.efficientdet import Answer, Teacher, load_teacher

BATCH = 8
"""Frames a teacher is asked about at once."""

ABOUT = 'labels.json'
"""Beside the label files: which teachers spoke, and how a picture lies on their input."""


def open_teachers(
    folder: Path, modalities: Sequence[str], score: float = SCORE_THRESHOLD
) -> dict[str, Teacher]:
    """Load teachers from a folder with one folder a modality.

    Raises:
        AvdetError: one is missing or does not fit, or they see at different sizes.
    """
    teachers: dict[str, Teacher] = {}
    for modality in modalities:
        teacher = load_teacher(folder / modality, score)
        if teacher.modality != modality:
            raise AvdetError(
                f'{folder / modality}: expected a teacher for {modality}, found one for '
                f'{teacher.modality}'
            )
        teacher.detector.to('cuda' if torch.cuda.is_available() else 'cpu')
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
    say: Callable[[str], None] = print,
    progress: bool = True,
) -> None:
    """Label every drive that these teachers have not labelled yet.

    Args:
        root: the data set's folder.
        drives: frames of each drive to label.
        teachers: by modality, from `open_teachers` or anything else that is a `Teacher`.
        out: gets ``<drive>.npz`` and `ABOUT`.
        crop: the paper's columns only, see `canvas_for`; None is as the teachers were taught.
        say: takes a line for people.
        progress: draw a progress bar.

    Raises:
        AvdetError: teachers that do not fit, too many unreadable pictures, or a full disk.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    first = next(iter(teachers.values()))
    crop = _crop(teachers, crop)
    about = {
        'teachers': {name: teacher.mark for name, teacher in teachers.items()},
        'image_size': list(first.image_size),
        'crop': crop,
        'score': first.score,
    }
    _begin(out, about, say)
    before = {name: _skipped_in(out, name, frames) for name, frames in drives.items()}
    missing = {name: drives[name] for name, count in before.items() if count is None}
    if not missing:
        return
    total = sum(map(len, missing.values()))
    say(f'{out}: {", ".join(teachers)} look at {total} frames of {len(missing)} drives')
    skipped = Skipped('labels', sum(map(len, drives.values())), say)
    skipped.recall(sum(count or 0 for count in before.values()))
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task('frames', total=total)
        for name, frames in sorted(missing.items()):
            labels = label_drive(
                root, frames, teachers, crop, skipped, lambda done: bar.advance(task, done)
            )
            write_labels(out / f'{name}.npz', labels)
    skipped.close()


def label_drive(
    root: Path,
    frames: Sequence[layout.FrameId],
    teachers: Mapping[str, Teacher],
    crop: bool,
    skipped: Skipped,
    tick: Callable[[int], None] = lambda done: None,
) -> DriveLabels:
    """What teachers say of one drive's frames.

    Args:
        root: the data set's folder.
        frames: of one drive.
        teachers: by modality; their order is the file's.
        crop: see `canvas_for`.
        skipped: takes frames that have an unreadable picture.
        tick: told how many frames are done.
    """
    size = next(iter(teachers.values())).image_size
    kept: list[str] = []
    lacking: list[str] = []
    answers: list[list[Answer]] = []
    canvases: list[Canvas] = []
    for first in range(0, len(frames), BATCH):
        part = frames[first : first + BATCH]
        pictures: dict[str, list[np.ndarray]] = {modality: [] for modality in teachers}
        for frame in part:
            try:
                seen = {name: layout.read_picture(root, frame, name) for name in teachers}
                height, width = next(iter(seen.values())).shape[:2]
                canvas = canvas_for(size, width, height, crop)
                inputs = {name: network_input(seen[name], name, canvas) for name in teachers}
            except AvdetError as error:
                skipped.add(f'frame {frame}: {error}')
                lacking.append(frame.stamp)
                continue
            kept.append(frame.stamp)
            canvases.append(canvas)
            for name, pixels in inputs.items():
                pictures[name].append(pixels)
        if pictures[next(iter(teachers))]:
            said = [
                teacher.ask(torch.from_numpy(np.stack(pictures[name])))
                for name, teacher in teachers.items()
            ]
            answers += [list(of_frame) for of_frame in zip(*said, strict=True)]
        tick(len(part))
    names = tuple(teachers)
    labels = _gathered(kept, answers, canvases, names) if kept else nothing_said(names)
    return replace(labels, skipped=np.array(lacking, 'U64'))


def read_about(folder: Path) -> dict:
    """What `label_drives` noted about the labels of a folder.

    Raises:
        AvdetError: nothing, or something else.
    """
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding='utf-8'))
        height, width = (int(side) for side in about['image_size'])
        return {
            'teachers': {str(name): str(mark) for name, mark in about['teachers'].items()},
            'image_size': (height, width),
            'crop': bool(about['crop']),
        }
    except OSError as error:
        raise AvdetError(
            f'cannot read {path}: {explain_os_error(error)}; avdet train label makes such a folder'
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AvdetError(
            f'{path}: expected notes of avdet train label, found {error!r:.80}'
        ) from error


def _gathered(
    ids: list[str], answers: list[list[Answer]], canvases: list[Canvas], teachers: tuple[str, ...]
) -> DriveLabels:
    boxes, scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
    frame: list[int] = []
    teacher: list[int] = []
    for index, (of_frame, canvas) in enumerate(zip(answers, canvases, strict=True)):
        for column, answer in enumerate(of_frame):
            placed = canvas.to_image(answer.boxes)
            placed[:, [0, 2]] = placed[:, [0, 2]].clip(
                canvas.left_px, canvas.left_px + canvas.kept_width_px
            )
            placed[:, [1, 3]] = placed[:, [1, 3]].clip(0, canvas.image_height_px)
            whole = np.all(placed[:, 2:] - placed[:, :2] >= 1, axis=1)
            boxes.append(placed[whole])
            scores.append(answer.scores[whole])
            frame += [index] * int(whole.sum())
            teacher += [column] * int(whole.sum())
    try:
        maps = np.array(
            [[np.concatenate([_scaled(level) for level in answer.attention]) for answer in each]
             for each in answers], np.float16,
        )  # fmt: skip
        embedding = np.array([[answer.embedding for answer in each] for each in answers])
        features = np.array([[answer.features for answer in each] for each in answers])
    except ValueError as error:
        raise AvdetError(
            'teachers: expected feature maps of one shape, found different ones: take one '
            'configuration for all'
        ) from error
    sizes = [level.shape for level in answers[0][0].attention]
    return DriveLabels(
        ids=np.array(ids),
        teachers=teachers,
        boxes_px=np.concatenate(boxes).astype(np.float32),
        scores=np.concatenate(scores).astype(np.float32),
        frame=np.array(frame, np.int32),
        teacher=np.array(teacher, np.int8),
        attention=maps,
        attention_sizes=np.array(sizes, np.int32),
        embedding=embedding.astype(np.float16),
        features=features.astype(np.float16),
    )


def _scaled(level: np.ndarray) -> np.ndarray:
    return (level / max(float(level.max()), 1e-12)).ravel()


def _crop(teachers: Mapping[str, Teacher], wanted: bool | None) -> bool:
    """Whether the teachers see the paper's columns only."""
    for name, teacher in teachers.items():
        wanted = teacher.crop if wanted is None else wanted
        if teacher.crop != wanted:
            words = {True: 'with the crop', False: 'without the crop'}
            raise AvdetError(
                f'{name} teacher: expected one taught {words[wanted]}, found one taught '
                f'{words[teacher.crop]}'
            )
    return bool(wanted)


def _begin(out: Path, about: dict, say: Callable[[str], None]) -> None:
    """Note who labels; what others have said before is removed."""
    path = out / ABOUT
    try:
        out.mkdir(parents=True, exist_ok=True)
        noted = json.loads(path.read_text(encoding='utf-8')) if path.exists() else None
        if noted == about:
            return
        old = sorted(out.glob('*.npz'))
        if old and noted is None:
            raise AvdetError(
                f'{out}: expected a new folder or labels made by avdet train label, found other '
                f'files, such as {old[0].name}'
            )
        if old:
            say(f'{out}: labels of other teachers, {len(old)} files, are made anew')
        for file in old:
            file.unlink()
        path.write_text(json.dumps(about, indent=1), encoding='utf-8')
    except (OSError, ValueError) as error:
        raise AvdetError(f'cannot write the labels in {out}: {error}') from error


def _skipped_in(out: Path, drive: str, frames: Sequence[layout.FrameId]) -> int | None:
    """How many frames a drive's labels leave out; None if it is still to be labelled."""
    path = out / f'{drive}.npz'
    if not path.exists():
        return None
    labels = read_labels(path, mapped=True)
    known = {*labels.ids.tolist(), *labels.skipped.tolist()}
    return len(labels.skipped) if all(frame.stamp in known for frame in frames) else None
