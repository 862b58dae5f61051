"""Run all rows of the paper's tables on the same drives, teachers and labels, one by one.

Every stage writes its result to the folder and is skipped if the result exists. An interrupted run
therefore resumes with the same command, and a row can be added later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.dataset.splits import keep_split
from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.on_dataset import frames_of, run_on_dataset
from avdet_ros.evaluation.scores import score
from avdet_ros.files import explain_os_error, jsonable
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.tracking import make_tracker
from avdet_ros.training.boxes.postprocess import suppress
from avdet_ros.training.fitting.commit import git_commit
from avdet_ros.training.fitting.distributed import process_group, rank_zero_first
from avdet_ros.training.fitting.run_folder import (
    begin_run,
    cached_stage,
    cached_stage_rank_zero,
)
from avdet_ros.training.networks.calibrated import StudentDetector
from avdet_ros.training.run.context import RunContext, open_run
from avdet_ros.training.run.stages import make_detector, make_windows
from avdet_ros.training.studies.paper_rows import ROWS, SCALES, Row, Scale, row_recipe
from avdet_ros.training.studies.reproduce_table import write_table

SEED = 7
"""Seed of the simulated drives."""

RESULTS = 'results.md'
ROW = 'row.json'
STUDENT = 'student'

_logger = logging.getLogger(__name__)


class TorchDetector:
    """A fitted student as a `WindowDetector`, without export.

    It keeps boxes with the lowest scores, which an exported model leaves out, because average
    precision is computed over the whole curve.
    """

    def __init__(self, detector: StudentDetector, rig: Rig) -> None:
        """Wrap a calibrated student; its boxes lie in the image of the rig's camera."""
        self._device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self._detector = detector.to(self._device).eval()
        self._size = np.tile([rig.camera.width_px, rig.camera.height_px], 2).astype(np.float32)

    def detect(self, waveform: np.ndarray | None, spectrogram: np.ndarray) -> Detections:
        """Detect boxes in one window; the waveform is ignored."""
        student = self._detector.student
        with torch.inference_mode():
            sound = torch.from_numpy(spectrogram)[None].to(self._device)
            output = student(student.from_topic(sound), [])
            boxes, logits = student.candidates(output.prediction)
            boxes, logits = suppress(boxes[0], logits[0])
            scores = self._detector.calibration(logits)
        return Detections(boxes.cpu().numpy() * self._size, scores.cpu().numpy())


def reproduce(
    scale: str | Scale,
    out: Path,
    data: Path | None = None,
    teachers: Path | None = None,
    rows: Sequence[Row] = ROWS,
    seeds: int = 1,
    command: str = '',
    progress: Progress = SILENT,
) -> Path:
    """Run the rows and write the table.

    Args:
        scale: a key of `SCALES`.
        out: folder of all results.
        data: drives in the MAVD layout; None simulates as many as the scale asks for.
        teachers: folder of ready teachers; None trains them on the drives' true boxes.
        rows: rows to run, in the order of the table.
        seeds: runs of each row, with seeds from 0 on. The figures are means over the seeds, and a
            second table has mean and deviation. Seeds of earlier runs are included.
        command: command shown above the table.
        progress: displays the progress.

    Returns:
        ``results.md``; next to it ``results.json``.

    Raises:
        AvdetError: the data or the folder are invalid.
    """
    scale = _scale(scale)
    if teachers is not None:
        scale = replace(scale, teachers=replace(scale.teachers, folder=str(teachers)))
    results: list[list[dict[str, Any]]] = []
    with process_group():
        if data is None:
            data = out / 'drives'
            rank_zero_first(partial(_simulate, scale, data))
        if not any(data.glob('*/truth/frames.jsonl')):
            rows = [row for row in rows if row.labels != 'truth']
            _logger.info('%s: no true boxes, so no row that learns from them', data)
            if not rows:
                raise AvdetError(f'--rows: expected one that {data} can teach, found none')
        for number, row in enumerate(rows, 1):
            results.append([])
            for seed in range(max(seeds, _seeds_done(row, out))):
                _logger.info('row %d of %d: %s, seed %d', number, len(rows), row.title, seed)
                results[-1].append(run_row(row, scale, data, out, seed, progress))
        about = {
            'scale': scale.name,
            'command': command,
            'data': data.name if data.parent == out else str(data),
            'commit': git_commit(),
            'torch': torch.__version__,
            'device': torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU',
        }
        rank_zero_first(partial(_write, out, rows, results, scale, about))
    return out / RESULTS


def _write(
    out: Path,
    rows: Sequence[Row],
    results: list[list[dict[str, Any]]],
    scale: Scale,
    about: dict[str, str],
) -> None:
    """Write ``results.json`` for programs and ``results.md`` for readers."""
    text = {'about': about, 'rows': dict(zip([row.key for row in rows], results, strict=True))}
    try:
        (out / 'results.json').write_text(json.dumps(text, indent=1), encoding='utf-8')
        write_table(out / RESULTS, rows, results, scale, about)
    except OSError as error:
        raise AvdetError(
            f'cannot write the results in {out}: {explain_os_error(error)}'
        ) from error


def run_row(
    row: Row, scale: Scale, data: Path, out: Path, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train one student and score it; see `reproduce`.

    Returns:
        ``scores`` by kind of truth, ``fit`` (windows, minutes, parameters), and ``labels``: the
        number of boxes in the training windows.
    """
    folder = _folder(row, out, seed)
    recipe = row_recipe(row, scale, seed)
    if (folder / ROW).exists():  # the other results may have been deleted
        begin_run(folder, recipe, resume=True)
        return cached_stage(folder / ROW, dict, row.title)
    run = open_run(recipe, data, folder, progress=progress, labels=out / 'labels')
    if not recipe.teachers.folder:
        run = replace(run, teachers=out / 'teachers')
        if run.split is not None:
            rank_zero_first(partial(keep_split, out, run.split))  # all rows share the teachers
    make_windows(run)
    detector, windows = make_detector(run)

    def finish() -> dict[str, Any]:
        return {
            'scores': _scores(TorchDetector(detector, run.rig), run),
            'fit': json.loads((folder / 'fit.json').read_text(encoding='utf-8')),
            'labels': int(sum(map(len, windows['train'].boxes))),
        }

    return cached_stage_rank_zero(folder / ROW, finish, row.title)


def _folder(row: Row, out: Path, seed: int) -> Path:
    return out / 'rows' / (f'{row.key}_seed{seed}' if seed else row.key)


def _seeds_done(row: Row, out: Path) -> int:
    return next(seed for seed in count() if not (_folder(row, out, seed) / ROW).exists())


def _scores(detector: TorchDetector, run: RunContext) -> dict[str, Any]:
    """Score against every kind of truth; labels are those of all teachers for every row."""
    frames = frames_of(run.data, 'test', run.recipe.subset)
    front_end = FrontEnd.of(run.rig)
    found = run_on_dataset(run.data, frames, {STUDENT: detector}, front_end, run.labels)
    scores = {
        kind: score(records, STUDENT, run.rig, make_tracker())
        for kind, records in found.records.items()
    }
    return jsonable(scores)


def _scale(scale: str | Scale) -> Scale:
    if isinstance(scale, Scale):
        return scale
    if scale not in SCALES:
        raise AvdetError(f'scale: expected one of {", ".join(SCALES)}, found {scale!r}')
    return SCALES[scale]


def _simulate(scale: Scale, folder: Path) -> None:
    """Write the missing drives of a scale."""
    if not scale.drives:
        raise AvdetError(
            f'scale {scale.name}: expected --data, a folder of drives in the MAVD layout, '
            'found none'
        )
    from avdet_ros.simulation.drive import prepare, write_splits
    from avdet_ros.simulation.drive_run import write_drives
    from avdet_ros.simulation.plan import Plan

    plan = Plan(scale.drives, scale.minutes, SEED, scale.fps, clips=False)
    missing = prepare(folder, plan)
    if missing:
        frames = len(missing) * len(plan.times_s())
        _logger.info('%s: simulating %d drives, %d frames', folder, len(missing), frames)
        write_drives(folder, plan, missing, min(os.cpu_count() or 1, len(missing)))
    write_splits(folder, plan)
