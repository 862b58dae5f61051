"""Study of which visible vehicle sounds, and whether a student benefits: all rows in turn.

`avdet train reproduce --rows self-supervision` simulates drives if none are given, scores
hand-made rows and selectors on their visible vehicles, trains students on filtered labels, and
writes `PAGE`, each table as soon as it is known. Every row writes its result to the folder and is
skipped if the result exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.dataset.features import cache_sound
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.on_dataset import dataset_rig
from avdet_ros.evaluation.sounding.boxes import SeenBoxes, true_boxes
from avdet_ros.evaluation.sounding.hand_made import ROWS, first_then, ranks
from avdet_ros.evaluation.sounding.tables import (
    RowScores,
    bar_table,
    main_table,
    part_table,
    reliability_table,
    share_table,
)
from avdet_ros.files import write_json
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.training.fitting.commit import git_commit
from avdet_ros.training.studies.sounding.attention_picture import draw_attention
from avdet_ros.training.studies.sounding.attention_rows import (
    attention_not_run,
    attention_scores,
    attention_table,
    load_scenes,
)
from avdet_ros.training.studies.sounding.filtered_students import (
    StudentScale,
    student_table,
    teach_filtered,
)
from avdet_ros.training.studies.sounding.page import StudyPage
from avdet_ros.training.studies.sounding.picture_rows import PICTURE_ROWS, rows_without_learning
from avdet_ros.training.studies.sounding.selector_filter import judges
from avdet_ros.training.studies.sounding.selector_rows import (
    CONTROLS,
    RIGHT,
    Frames,
    load_frames,
    rows_for,
    selector_row,
    selectors_not_run,
)
from avdet_ros.training.studies.sounding.teacher_rows import (
    label_by,
    seen_by_teachers,
    teacher_table,
)

KEY = 'self-supervision'
"""Name of the rows for ``avdet train reproduce --rows``."""

PICTURE = 'attention.jpg'
"""The page's picture of attention."""

USES = ('train', 'val', 'test')

BAR = 'moves first, then nearness'
"""Row that uses only what traffic tells: motion and distance."""

IN_PARTS = (
    'height of the box',
    'moves first, then nearness',
    'steered response',
    'sound',
    'all labelled: sound, sight, motion',
    'moves first, then nearness and: all labelled: sound',
)
"""Rows that are scored on each part of the test set."""

SURE = (
    'sound',
    '100 frames labelled, no others',
    'all labelled: sound',
    'all labelled: sound, sight, motion',
)
"""Selectors whose probabilities are compared with the share that sounds."""

TOGETHER = ('sound', 'all labelled: sound', 'all labelled: sound, sight, motion')
"""Selectors that are also scored in combination with true motion and distance."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyScale:
    """Size of the study.

    Attributes:
        name: its name in the command.
        drives: simulated drives, 60 % for training, 20 % each for validation and test.
        minutes: length of a drive.
        fps: pictures per second.
        seed: seed of the drives.
        seeds: seeds of each selector.
        steps: steps of each round of a selector's fitting.
        students: students trained on filtered labels; None leaves them out.
    """

    name: str
    drives: int
    minutes: float
    fps: float = 2.0
    seed: int = 7
    seeds: int = 3
    steps: int = 100
    students: StudentScale | None = None


SCALES = {
    'smoke': StudyScale('smoke', 4, 0.05, 1.0, 18, 1, 2, StudentScale(2, 1)),
    'small': StudyScale('small', 80, 0.15, students=StudentScale(400, 3)),
    # Enough drives for 2,000 training frames with a vehicle that is seen and sounds.
    'evening': StudyScale('evening', 300, 0.15),
}


def study(
    scale: str | StudyScale,
    out: Path,
    data: Path | None = None,
    command: str = '',
    pages: Path | None = None,
    teachers: Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Run all rows and write the page's tables.

    Args:
        scale: a key of `SCALES`.
        out: folder of all results.
        data: drives in the MAVD layout whose truth includes levels; None simulates some.
        command: command shown on the page.
        pages: folder of pages; tables in its `PAGE` are replaced too.
        teachers: ready teachers to label the drives that selectors are scored on; None uses
            existing labels.
        progress: displays the progress.

    Returns:
        ``self-supervision.md`` in the folder.

    Raises:
        AvdetError: the data or the folder are invalid.
    """
    scale = _scale(scale)
    root = data or _simulate(scale, out / 'drives', progress)
    split = read_split(root, 0.0)
    drives = {use: by_drive(getattr(split, use)) for use in USES}
    if len(drives['train']) == 1:
        _logger.warning(
            '%s: one training drive: all sounds that do not belong to a picture are other moments '
            'of this drive',
            root,
        )
    rig = dataset_rig(root, [name for its in drives.values() for name in its])
    for its in drives.values():
        cache_sound(root, its, 'window', rig, progress)
    boxes = {use: true_boxes(root, its) for use, its in drives.items()}
    frames = {
        use: load_frames(root, its, rig, _has_thermal(root), progress)
        for use, its in boxes.items()
    }
    rows = rows_without_learning(frames['val'], frames['test'])
    by_hand = len(rows)
    uses = {use: frames[use] for use in ('val', 'test')}
    selectors = rows_for(frames['train'].padded)
    for number, row in enumerate(selectors, 1):
        _logger.info('selector %d of %d: %s', number, len(selectors), row.title)
        rows.append(
            selector_row(
                row,
                frames['train'].padded,
                uses,
                rig,
                out / 'selectors',
                (scale.steps, scale.seeds),
                progress,
            )
        )
    rows += [moving_first(row, boxes) for row in rows[by_hand:] if row.title in TOGETHER]
    if teachers is not None:
        label_by(teachers, root, drives, progress)
    seen = seen_by_teachers(root, drives)
    listed = {f'true, {use}': its for use, its in boxes.items()}
    listed |= {f'teachers, {use}': its for use, its in seen.items()}
    page = StudyPage(out, pages, command)
    page.write(_sections(rows, boxes, listed, scale, selectors_not_run(frames['train'].padded)))
    table = teacher_table(
        root,
        seen,
        frames['train'].padded,
        rig,
        out / 'selectors_teachers',
        (scale.steps, scale.seeds),
        _has_thermal(root),
        progress,
    )
    page.write({'teachers': table})
    students: dict[str, Any] = {}
    if scale.students is not None:
        train = frames['train']
        sound = train.sound[RIGHT]
        selector_judges = judges(
            root, train.padded, sound, rig, out / 'students', scale.steps, progress
        )
        students = teach_filtered(
            root, boxes, rig, out / 'students', scale.students, selector_judges, progress
        )
        page.write({'filter': student_table(students)})
    attention = attention_of(root, frames, rig, out / 'attention', scale, page, progress)
    results = {'students': students, 'attention': attention, 'commit': git_commit()}
    write_json(out / 'results.json', results)
    return page.path


def attention_of(
    root: Path,
    frames: Mapping[str, Frames],
    rig: Rig,
    out: Path,
    scale: StudyScale,
    page: StudyPage,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Fit attention if there are pictures, and write the table after each seed.

    Args:
        root: the data set's folder.
        frames: frames of `USES`.
        rig: array and camera.
        out: folder of scores and maps.
        scale: size of the study.
        page: receives the table and a picture.
        progress: displays pictures and steps.
    """
    if not any(root.glob('*/fl_rgb/*')):
        page.write({'attention': 'These drives have no pictures (fl_rgb) to attend over.'})
        return {}
    thermal = _has_thermal(root)
    scenes = {use: load_scenes(root, its, rig, thermal, progress) for use, its in frames.items()}
    left = attention_not_run(scenes['train'].masks)
    found = attention_scores(
        scenes,
        frames['train'],
        rig,
        out,
        (scale.steps, scale.seeds),
        lambda found: page.write({'attention': under(attention_table(found), left)}),
        progress,
    )
    maps = out / 'map_told_seed0.npy'
    if maps.exists():
        heat = np.load(maps, allow_pickle=False)
        for folder in page.folders:
            draw_attention(root, frames['test'].boxes, heat, folder / PICTURE)
    return found


def moving_first(row: RowScores, boxes: Mapping[str, SeenBoxes]) -> RowScores:
    """Rank truly moving vehicles first, and within each group by selector and nearness."""

    def together(scores: np.ndarray, its: SeenBoxes) -> np.ndarray:
        return first_then(its.moves, ranks(scores) + ranks(-its.distance_m))

    return RowScores(
        f'moves first, then nearness and: {row.title}',
        row.hears,
        'speed, distance',
        [together(scores, boxes['val']) for scores in row.val],
        {
            name: [together(scores, boxes['test']) for scores in its]
            for name, its in row.test.items()
        },
        row.own,
    )


def _sections(
    rows: list[RowScores],
    boxes: Mapping[str, SeenBoxes],
    listed: Mapping[str, SeenBoxes],
    scale: StudyScale,
    left: str,
) -> dict[str, str]:
    """Return the tables of rules and selectors by their marks; ``left`` names rows not run."""
    by_title = {row.title: row for row in rows}
    count = len(ROWS) + len(PICTURE_ROWS)
    hand, learned = rows[:count], rows[count:]
    notes = (
        f'{len(boxes["test"].frames)} test frames, {len(boxes["test"])} visible vehicles. '
        f'Selectors have the mean and half the range of {scale.seeds} seeds; 95 % intervals over '
        'drives are in parentheses.'
    )
    return {
        'shares': share_table(listed),
        'hand-made': f'{notes}\n\n{main_table(hand, boxes, CONTROLS)}',
        'selectors': under(f'{notes}\n\n{main_table(learned, boxes, CONTROLS)}', left),
        'bar': bar_table(learned, by_title[BAR], boxes['test']),
        'parts': 'Area under the ROC curve.\n\n'
        + part_table([by_title[title] for title in IN_PARTS], boxes['test']),
        'reliability': reliability_table(
            [by_title[title] for title in SURE if title in by_title], boxes['test']
        ),
    }


def under(table: str, note: str) -> str:
    """Return a table with an optional note under it."""
    return f'{table}\n\n{note}' if note else table


def _has_thermal(root: Path) -> bool:
    return any(root.glob('*/fl_ir_aligned/*'))


def _scale(scale: str | StudyScale) -> StudyScale:
    if isinstance(scale, StudyScale):
        return scale
    if scale not in SCALES:
        raise AvdetError(f'scale: expected one of {", ".join(SCALES)} for {KEY}, found {scale!r}')
    return SCALES[scale]


def _simulate(scale: StudyScale, folder: Path, progress: Progress) -> Path:
    """Write the missing drives of a scale."""
    from avdet_ros.simulation.drive import prepare, write_splits
    from avdet_ros.simulation.drive_run import write_drives
    from avdet_ros.simulation.plan import Plan

    plan = Plan(scale.drives, scale.minutes, scale.seed, scale.fps, clips=False)
    missing = prepare(folder, plan)
    if missing:
        jobs = min(os.cpu_count() or 1, len(missing))
        write_drives(folder, plan, missing, jobs, progress=progress)
    write_splits(folder, plan)
    return folder
