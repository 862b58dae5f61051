"""Compare every pretext with none, with labels of 1, 10 and 100 % of the drives.

For each seed, each pretext is trained once on all training windows. Then a student learns boxes
from the labels of a share of the drives, drawn by the seed, in the same number of steps. The
baselines are no pretext, no pretext but additional steps (as many as the pretext had), and the
head alone on a frozen encoder, of each pretext and of random weights. A pretext that does not beat
*none, longer* with 1 and with 10 % by more than the seeds' range is not run with 100 %.

All rows run with 1 % before one runs with 10 %, and the page is written after each row, so it
shows the results of an interrupted run. The same command resumes it and keeps finished rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import json
import logging
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from avdet_ros.dataset.labels import LABELS, label_sources
from avdet_ros.dataset.splits import by_drive
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearings.metrics import (
    FoundBearings,
    TrueBearings,
    average_precision,
    match_bearings,
)
from avdet_ros.evaluation.bearings.of_boxes import box_azimuth_deg
from avdet_ros.evaluation.reports.page_section import marks, write_section
from avdet_ros.files import jsonable, write_json
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.training.data.drives import drive_windows
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.fitting.distributed import process_group
from avdet_ros.training.fitting.fit import CHECKPOINTS, load_best
from avdet_ros.training.fitting.run_folder import begin_run, cached_stage
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.networks.calibrated import predict
from avdet_ros.training.registries import PRETEXTS
from avdet_ros.training.results.scores import average_precisions
from avdet_ros.training.run.context import RunContext, open_run
from avdet_ros.training.run.pretext import fit_pretext, load_pretext
from avdet_ros.training.run.stages import fresh_student, load_windows, make_windows
from avdet_ros.training.run.task import fit_student
from avdet_ros.training.studies.pretexts.rows import (
    ALL,
    FEW,
    FIRST,
    LONGER,
    MORE,
    NONE,
    SCALES,
    PretextScale,
    Run,
    recipe_of,
    runs_of,
    tasks_of,
)
from avdet_ros.training.studies.pretexts.table import section, write_page

KEY = 'pretexts'
"""Name of the rows for `avdet train reproduce --rows`."""

PAGE, RESULTS = 'pretexts.md', 'pretexts.json'

DOCUMENT = 'self-supervision.md'
"""The documentation page with sections of the same tables: `KEY` and `OF_DRIVES`."""

OF_DRIVES = 'pretexts of drives'
"""Section of a comparison on drives, whose windows have pictures."""

HEAD = ', the head alone'

WITHIN_DEG = 5.0
"""Maximum error of a correct direction."""

DECIDES = 'direction'
"""The score that the stop rule uses, because mAP is hardly above 0 at these scales."""

_logger = logging.getLogger(__name__)


def study(
    scale: str | PretextScale,
    out: Path,
    data: Path | None = None,
    command: str = '',
    pages: Path | None = None,
    progress: Progress = SILENT,
    tasks: Sequence[str] = (),
) -> Path:
    """Run all rows, and write the page after each row.

    Args:
        scale: a key of `SCALES`.
        out: folder of all results.
        data: drives in the MAVD layout, labelled by teachers (``labels/``) or with true boxes;
            None simulates windows, which have no pictures.
        command: command shown on the page.
        pages: folder of pages; the section `KEY` or `OF_DRIVES` of its `DOCUMENT` is replaced too.
        progress: displays the progress.
        tasks: only these pretexts; () for those of the scale.

    Returns:
        ``pretexts.md``; next to it ``pretexts.json``.

    Raises:
        AvdetError: the data or the folder are invalid, or a pretext is unknown.
    """
    for task in tasks:
        PRETEXTS.find(task)
    if isinstance(scale, str):
        if scale not in SCALES:
            raise AvdetError(f'scale: expected one of {", ".join(SCALES)}, found {scale!r}')
        scale = SCALES[scale]
    scale = replace(scale, tasks=tuple(tasks) or scale.tasks)
    comparison = Comparison(scale, out, data, progress)
    rows = (NONE, LONGER, *tasks_of(scale))
    with process_group():
        for share, freeze in FIRST:
            for row in rows:
                _logger.info('%g %% of the labels%s: %s', 100 * share, HEAD * freeze, row)
                comparison.run_all(row, runs_of(row, share, scale, freeze))
                _write(out, comparison, command)
        for row in rows:
            if row in (NONE, LONGER) or comparison.helps(row):
                comparison.run_all(row, runs_of(row, ALL, scale))
                _write(out, comparison, command)
    results = _write(out, comparison, command)
    if pages is not None:
        name = KEY if data is None else OF_DRIVES
        write_section(pages / DOCUMENT, name, section(results), marks(name))
    return out / PAGE


def _write(out: Path, comparison: Comparison, command: str) -> dict[str, Any]:
    """Write the results so far, as JSON and as a page."""
    results = {'scale': comparison.scale.name, 'command': command, **comparison.results()}
    write_json(out / RESULTS, results)
    write_page(out / PAGE, results)
    return results


class Comparison:
    """The runs of a comparison and their scores.

    Args:
        scale: size of the comparison.
        out: folder of all results.
        data: drives, or None.
        progress: displays the progress.
    """

    def __init__(self, scale: PretextScale, out: Path, data: Path | None, progress: Progress):
        self.scale, self.out, self.progress = scale, out, progress
        self.data = data or out / 'windows'
        self.labels = 'simulated' if data is None else _labels_in(data)
        self.scores: dict[Run, dict[str, Any]] = {}
        self.lacking: dict[str, str] = {}

    def run_all(self, row: str, runs: Sequence[Run]) -> None:
        """Run a row; if its pretext lacks data, record why and leave it out."""
        for run in runs if row not in self.lacking else ():
            try:
                self.scores[run] = self._score(run)
            except AvdetError as error:
                if not str(error).startswith(f'pretext.task: {row}:'):
                    raise
                _logger.warning('%s is left out: %s', row, error)
                self.lacking[row] = str(error)
                return

    def helps(self, row: str) -> bool:
        """Apply the stop rule: whether a row beats `LONGER` by more than the seeds' range."""
        return row not in self.lacking and all(
            self.complete(row, share) and beats(self.of(row, share), self.of(LONGER, share))
            for share in (FEW, MORE)
        )

    def complete(self, row: str, share: float) -> bool:
        """Whether every seed of a row, and of `LONGER`, was run with a share of the labels."""
        return all(len(self.of(one, share)) == self.scale.seeds for one in (row, LONGER))

    def of(self, row: str, share: float) -> list[float]:
        """Return `DECIDES` of a row's seeds, without runs with a frozen encoder."""
        return [
            scores[DECIDES] or 0.0
            for run, scores in self.scores.items()
            if (run.row, run.share, run.freeze) == (row, share, False)
        ]

    def decided(self, row: str) -> bool:
        """Whether a row has all the runs that the stop rule needs."""
        return all(self.complete(row, share) for share in (FEW, MORE))

    def results(self) -> dict[str, Any]:
        """Return the results for the page and for programs."""
        runs = [
            {'row': run.row, 'share': run.share, 'seed': run.seed, 'freeze': run.freeze, **scores}
            for run, scores in self.scores.items()
        ]
        compared = [row for row in tasks_of(self.scale) if row not in self.lacking]
        return {
            'student': self.scale.student,
            'labels': self.labels,
            'runs': runs,
            'stopped': [row for row in compared if not self.helps(row) and self.decided(row)],
            'waiting': [row for row in compared if not self.decided(row)],
            'lacking': self.lacking,
            'about': {
                run.row: scores['about'] for run, scores in self.scores.items() if scores['about']
            },
        }

    def _score(self, run: Run) -> dict[str, Any]:
        recipe = recipe_of(run, self.scale, self.labels)
        folder = self.out / 'rows' / run.folder
        context = open_run(recipe, self.data, folder, progress=self.progress)
        if not (folder / 'row.json').exists():
            make_windows(context)
        return cached_stage(folder / 'row.json', lambda: self._teach(context, run), run.folder)

    def _teach(self, context: RunContext, run: Run) -> dict[str, Any]:
        recipe = context.recipe
        windows = {use: load_windows(context, use) for use in ('train', 'val')}
        student, mirror = fresh_student(context)
        about = ''
        if recipe.pretext.wanted:
            about = self._learn_pretext(context, student, mirror, windows, run)
        minutes = fit_student(
            student,
            recipe,
            windows['train'],
            windows['val'],
            context.out,
            mirror,
            self.progress,
        )
        load_best(student, context.out / CHECKPOINTS / 'best.ckpt', 'student.')
        scores = scores_of(student, _test_windows(context), context.rig)
        return {**scores, 'minutes': minutes, 'about': about}

    def _learn_pretext(
        self,
        context: RunContext,
        student: StudentAdapter,
        mirror: Any,
        windows: dict[str, WindowDataset],
        run: Run,
    ) -> str:
        """Train the pretext once per seed, for all shares, and return its summary."""
        folder = self.out / 'pretexts' / f'{run.row}_{run.seed}'
        recipe = context.recipe
        # Share and freezing only concern the student, so all its runs share one pretext.
        own = replace(
            recipe,
            fit=replace(recipe.fit, drives=1.0),
            pretext=replace(recipe.pretext, freeze=False),
        )
        begin_run(folder, own, resume=True)
        result = cached_stage(
            folder / 'pretext.json',
            lambda: fit_pretext(
                student, own, windows['train'], windows['val'], folder, mirror, self.progress
            ),
            run.row,
        )
        load_pretext(student, folder)
        return result['about']


def beats(row: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one row's mean is above another's by more than the range of either's seeds."""
    spread = max(max(row) - min(row), max(other) - min(other))
    return mean(row) - mean(other) > spread


def scores_of(student: StudentAdapter, test: WindowDataset, rig: Rig) -> dict[str, float]:
    """Score a student on test windows.

    Returns:
        ``map50``: mAP at IoU 0.5; ``direction``: average precision of directions within
        `WITHIN_DEG`; ``p50_deg`` and ``p90_deg``: quantiles of the errors of correct directions.
    """
    student.to('cuda' if torch.cuda.is_available() else 'cpu')
    found = predict(student, test)
    size = np.tile(test.image_size_px, 2)
    pairs = [
        (
            FoundBearings(box_azimuth_deg(boxes * size, rig), logits.astype(np.float64)),
            _truth(box_azimuth_deg(true * size, rig)),
        )
        for (boxes, logits), true in zip(found, test.boxes, strict=True)
    ]
    matched = match_bearings([pairs], WITHIN_DEG)
    errors = np.abs(matched.error_deg[matched.hit])
    quantiles = np.quantile(errors, [0.5, 0.9]) if len(errors) else [np.nan, np.nan]
    return jsonable(
        {
            'map50': average_precisions(found, test)[1],
            'direction': average_precision(matched),
            'p50_deg': float(quantiles[0]),
            'p90_deg': float(quantiles[1]),
        }
    )


def _truth(azimuth_deg: np.ndarray) -> TrueBearings:
    nothing = np.full(len(azimuth_deg), np.nan)
    return TrueBearings(azimuth_deg, nothing, nothing, nothing)


def _labels_in(data: Path) -> str:
    """Return ``teachers`` if the drives have been labelled, else ``truth``."""
    return 'teachers' if any((data / LABELS).glob('*.npz')) else 'truth'


def _test_windows(context: RunContext) -> WindowDataset:
    """Load the test windows, with true boxes if all drives have them."""
    if context.split is None:
        return load_windows(context, 'test')
    drives = by_drive(context.split.test)
    if not all('truth' in label_sources(context.data, name, None) for name in drives):
        return load_windows(context, 'test')
    camera = context.rig.camera
    size = (camera.width_px, camera.height_px)
    return drive_windows(context.data, context.split.test, context.input_kind, size, 'truth')


def read_results(out: Path) -> dict[str, Any]:
    """Read the results that `study` wrote."""
    return json.loads((out / RESULTS).read_text(encoding='utf-8'))
