"""All rows of the paper's tables on the same drives, teachers and labels, one after another.

Every stage leaves its result in the folder and is passed over when that is there, so a run that
was killed is started again with the same command, and a row can be added later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.dataset.splits import keep_split
from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.on_dataset import frames_of, run_on_dataset
from avdet_ros.evaluation.scores import score
from avdet_ros.files import explain_os_error, jsonable
from avdet_ros.rig import Rig
from avdet_ros.tracking import make_tracker
from avdet_ros.training.fitting.distributed import first_only, joined
from avdet_ros.training.fitting.run_folder import begin_run, git_commit, once, once_alone
from avdet_ros.training.networks.calibrated import ListenerDetector
from avdet_ros.training.networks.postprocess import suppress
from avdet_ros.training.run import stages
from avdet_ros.training.studies.paper_rows import ROWS, SCALES, Row, Scale, row_recipe
from avdet_ros.training.studies.reproduce_table import write_table

SEED = 7
"""Of the simulated drives."""

RESULTS = 'results.md'
ROW = 'row.json'
STUDENT = 'student'

Say = Callable[[str], None]


class TorchDetector:
    """A student as it was fitted, without export, as a `WindowDetector`.

    Boxes of the smallest scores are kept, which an exported model leaves out: average precision
    is taken over the whole curve.
    """

    def __init__(self, detector: ListenerDetector, rig: Rig) -> None:
        """Take a calibrated student and the rig whose image its boxes lie in."""
        self._device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self._detector = detector.to(self._device).eval()
        self._size = np.tile([rig.camera.width_px, rig.camera.height_px], 2).astype(np.float32)

    def detect(self, waveform: np.ndarray, spectrogram: np.ndarray) -> Detections:
        """Boxes of one window; the waveform is not looked at."""
        listener = self._detector.listener
        with torch.inference_mode():
            sound = torch.from_numpy(spectrogram)[None].to(self._device)
            heard = listener(listener.from_topic(sound), [])
            boxes, logits = listener.candidates(heard.said)
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
    progress: bool = True,
    say: Say = print,
) -> Path:
    """Run the rows and write the table.

    Args:
        scale: a key of `SCALES`.
        out: folder of everything that is made.
        data: drives in the MAVD layout; None simulates some, where the scale says how many.
        teachers: folder of ready teachers; None teaches them with the drives' true boxes.
        rows: which rows, in the order of the table.
        seeds: how often each row is run, from seed 0 on; the table has the first, and a second
            one mean and spread. Seeds that an earlier run has done count as well.
        command: for the table.
        progress: draw progress bars.
        say: takes a line for people.

    Returns:
        ``results.md``; beside it ``results.json``.

    Raises:
        AvdetError: the data or the folder are not as they should be.
    """
    scale = _scale(scale)
    if teachers is not None:
        scale = replace(scale, teachers=replace(scale.teachers, folder=str(teachers)))
    results: list[list[dict[str, Any]]] = []
    with joined():
        if data is None:
            data = out / 'drives'
            first_only(partial(_simulate, scale, data, say))
        if not any(data.glob('*/truth/frames.jsonl')):
            rows = [row for row in rows if row.boxes != 'truth']
            say(f'{data}: no true boxes, so no row that learns from them')
            if not rows:
                raise AvdetError(f'--rows: expected one that {data} can teach, found none')
        for number, row in enumerate(rows, 1):
            results.append([])
            for seed in range(max(seeds, _seeds_done(row, out))):
                say(f'row {number} of {len(rows)}: {row.title}, seed {seed}')
                results[-1].append(run_row(row, scale, data, out, seed, progress, say))
        about = {
            'scale': scale.name,
            'command': command,
            'data': data.name if data.parent == out else str(data),
            'commit': git_commit(),
            'torch': torch.__version__,
            'device': torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU',
        }
        first_only(partial(_write, out, rows, results, scale, about))
    return out / RESULTS


def _write(
    out: Path,
    rows: Sequence[Row],
    results: list[list[dict[str, Any]]],
    scale: Scale,
    about: dict[str, str],
) -> None:
    """``results.json`` for programs, ``results.md`` for people."""
    text = {'about': about, 'rows': dict(zip([row.key for row in rows], results, strict=True))}
    try:
        (out / 'results.json').write_text(json.dumps(text, indent=1), encoding='utf-8')
        write_table(out / RESULTS, rows, results, scale, about)
    except OSError as error:
        raise AvdetError(
            f'cannot write the results in {out}: {explain_os_error(error)}'
        ) from error


def run_row(
    row: Row, scale: Scale, data: Path, out: Path, seed: int, progress: bool, say: Say
) -> dict[str, Any]:
    """Teach one student and score it; see `reproduce`.

    Returns:
        ``scores`` by kind of truth, ``fit`` (windows, minutes, parameters), and ``labels``: the
        boxes its teachers drew in the training windows.
    """
    folder = _folder(row, out, seed)
    recipe = row_recipe(row, scale, seed)
    if (folder / ROW).exists():  # all else may be gone by now
        begin_run(folder, recipe, resume=True)
        return once(folder / ROW, dict, say, row.title)
    course = stages.open_course(
        recipe, data, folder, progress=progress, say=say, labels=out / 'labels'
    )
    if not recipe.teachers.folder:
        course = replace(course, teachers=out / 'teachers')
        first_only(lambda: keep_split(out, course.split))  # all rows share the teachers
    stages.make_teachers(recipe.teachers, data, course.split, course.teachers, progress, say)
    stages.make_labels(course)
    detector, train, _ = stages.make_student(course)

    def finish() -> dict[str, Any]:
        return {
            'scores': _scores(TorchDetector(detector, course.rig), course),
            'fit': json.loads((folder / 'fit.json').read_text(encoding='utf-8')),
            'labels': int(sum(map(len, train.boxes))),
        }

    return once_alone(folder / ROW, finish, say, row.title)


def _folder(row: Row, out: Path, seed: int) -> Path:
    return out / 'rows' / (f'{row.key}_seed{seed}' if seed else row.key)


def _seeds_done(row: Row, out: Path) -> int:
    return next(seed for seed in count() if not (_folder(row, out, seed) / ROW).exists())


def _scores(detector: TorchDetector, course: stages.Course) -> dict[str, Any]:
    """Scores against every kind of truth: the labels of all teachers, whoever taught the row."""
    frames = frames_of(course.root, 'test', course.recipe.data)
    front_end = FrontEnd.of(course.rig)
    heard = run_on_dataset(course.root, frames, {STUDENT: detector}, front_end, course.labels)
    return jsonable({
        kind: score(records, STUDENT, course.rig, make_tracker())
        for kind, records in heard.records.items()
    })  # fmt: skip


def _scale(scale: str | Scale) -> Scale:
    if isinstance(scale, Scale):
        return scale
    if scale not in SCALES:
        raise AvdetError(f'scale: expected one of {", ".join(SCALES)}, found {scale!r}')
    return SCALES[scale]


def _simulate(scale: Scale, folder: Path, say: Say) -> None:
    """Write the drives of a scale, those that are not there yet."""
    if not scale.drives:
        raise AvdetError(
            f'scale {scale.name}: expected --data, a folder of drives in the MAVD layout, '
            'found none'
        )
    from avdet_ros.simulation.drive import Plan, prepare, write_splits
    from avdet_ros.simulation.drive_run import write_drives

    plan = Plan(scale.drives, scale.minutes, SEED, scale.fps, clips=False)
    missing = prepare(folder, plan)
    if missing:
        frames = len(missing) * len(plan.times_s())
        say(f'{folder}: simulating {len(missing)} drives, {frames} frames')
        write_drives(folder, plan, missing, min(os.cpu_count() or 1, len(missing)))
    write_splits(folder, plan)
