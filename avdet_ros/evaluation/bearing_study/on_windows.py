"""Runs of all rows of the bearing tables on the windows of a set, in several processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
import logging
import multiprocessing
import os
from pathlib import Path

from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearing_study.assumptions import (
    calibrated_by,
    standing,
    true_geometry,
    true_motion,
    without_microphone,
)
from avdet_ros.evaluation.bearing_study.rows import (
    BOUND,
    CALIBRATED,
    WITHOUT,
    BaselineRow,
    ModelRow,
    Row,
)
from avdet_ros.evaluation.bearings.of_boxes import WindowRecord
from avdet_ros.evaluation.runs.baselines import ConstantBoxes, LabelStatistics, SteeredResponse
from avdet_ros.evaluation.runs.on_simulation import CONSTANT, STEERED
from avdet_ros.evaluation.runs.record import DriveRecord
from avdet_ros.evaluation.runs.window_store import WindowSetting, WindowStore
from avdet_ros.evaluation.runs.windows import TRUTH_OFFSETS_S
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import MICROPHONES, Rig, load_rig
from avdet_ros.simulation.one_run import end_with_parent


@dataclass(frozen=True)
class WindowPlan:
    """Models to run, and the windows to run them on.

    Attributes:
        setting: setting of the windows.
        seeds: seeds of the drives.
        models: ONNX files by name.
        bound: run each model once more, with the true geometry of each drive.
        calibrated: calibrated rig of each array, by `Condition.array_seed`, with which each model
            is run once more. None leaves this out.
        one_dead: run each model eight more times, each time with another microphone dead.
        known: give all models each drive's true ``speed``, or ``speed and air``; '' for neither.
        label_offset_s: instant of the boxes relative to a window's end.
        statistics: summary of the training labels; None leaves the baselines out.
        rig_path: rig file, None for the package's own.
        cache: folder of sets of windows; None stores nothing.
        kept: number of drives that may be stored there.
    """

    setting: WindowSetting
    seeds: tuple[int, ...]
    models: dict[str, Path]
    label_offset_s: float
    bound: bool = False
    calibrated: dict[int, Rig] | None = None
    one_dead: bool = False
    known: str = ''
    statistics: LabelStatistics | None = None
    rig_path: Path | None = None
    cache: Path | None = None
    kept: int = 0


def run_windows(
    plan: WindowPlan, jobs: int = 1, progress: Progress = SILENT, step: str = 'drives'
) -> list[WindowRecord]:
    """Run all rows over all drives; records are in the order of the seeds.

    Args:
        plan: see `WindowPlan`.
        jobs: processes that share the drives.
        progress: shows how many drives are done.
        step: name of the step.

    Raises:
        AvdetError: a model or a folder cannot be used, or a process was killed from outside.
    """
    records: dict[int, WindowRecord] = {}
    with progress.step(step, len(plan.seeds)) as advance:
        for seed, record in _in_this_process(plan) if jobs == 1 else _in_processes(plan, jobs):
            records[seed] = record
            advance()
    return [records[seed] for seed in plan.seeds]


def _in_this_process(plan: WindowPlan) -> Iterator[tuple[int, WindowRecord]]:
    with _without_warnings():
        worker = _Worker(plan)
        for seed in plan.seeds:
            yield seed, worker.run(seed)


def _in_processes(plan: WindowPlan, jobs: int) -> Iterator[tuple[int, WindowRecord]]:
    # Spawned, not forked: the parent may hold threads of ONNX Runtime.
    context = multiprocessing.get_context('spawn')
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')
    with ProcessPoolExecutor(jobs, context, _start_worker, (plan,)) as pool:
        seeds_by_future = {pool.submit(_work, seed): seed for seed in plan.seeds}
        try:
            for future in as_completed(seeds_by_future):
                yield seeds_by_future[future], future.result()
        except BrokenProcessPool as error:
            raise AvdetError(
                'a process that ran windows was ended from outside, perhaps for lack of memory; '
                'the same command continues with the windows already rendered'
            ) from error
        finally:
            for future in seeds_by_future:
                future.cancel()


class _Worker:
    def __init__(self, plan: WindowPlan) -> None:
        self._plan = plan
        rig = load_rig(plan.rig_path)
        self._store = WindowStore(plan.cache, plan.setting, rig)
        self._kept = set(plan.seeds[: plan.kept])
        self._rows = make_rows(plan, rig)

    def run(self, seed: int) -> WindowRecord:
        drive = self._store.drive(seed, seed in self._kept)
        offset = self._plan.label_offset_s
        record = DriveRecord(
            f'seed {seed}',
            stamps_s=[float(end) + offset for end in drive.end_s],
            truth=drive.truth[offset],
            conditions={
                'motion': 'static' if drive.static else 'drive',
                'setting': drive.setting,
            },
        )
        for name, row in self._rows.items():
            record.detections[name], record.milliseconds[name] = row.detect(drive)
        return WindowRecord(record, drive.rig)


def make_rows(plan: WindowPlan, base: Rig) -> dict[str, Row]:
    """Load all rows of a plan, by name.

    Args:
        plan: see `WindowPlan`.
        base: rig of the plan's rig file.
    """
    # Load for a rig that the drives have: a model may refuse the rig of a family but not that of
    # the rig file.
    rig = plan.setting.condition.rig(plan.seeds[0], base)
    rows: dict[str, Row] = {}
    motion_of = true_motion(plan.setting, base, plan.known) if plan.known else standing
    for name, path in plan.models.items():
        row = ModelRow(path, rig, motion_of=motion_of)
        check_offset(path, row.detector, plan.label_offset_s)
        rows[name] = row
        if plan.calibrated is not None:
            rows[f'{name}{CALIBRATED}'] = ModelRow(
                path, rig, calibrated_by(plan.calibrated, plan.setting.condition), motion_of
            )
        if plan.bound:
            rows[f'{name}{BOUND}'] = ModelRow(path, rig, true_geometry, motion_of)
        for number in range(MICROPHONES if plan.one_dead else 0):
            rows[f'{name}{WITHOUT}{number + 1}'] = ModelRow(
                path, rig, without_microphone(number), motion_of
            )
    statistics = plan.statistics
    if statistics is not None:
        rows[STEERED] = BaselineRow(lambda drive_rig: SteeredResponse(statistics, drive_rig), rig)
        rows[CONSTANT] = BaselineRow(lambda _: ConstantBoxes(statistics), rig)
    return rows


def check_offset(path: Path, detector: Detector, offset_s: float) -> None:
    """Refuse a model whose boxes hold for another instant.

    Raises:
        AvdetError: the model's boxes hold for another instant, or there is no truth for it.
    """
    found = detector.contract.label_offset_s
    if offset_s not in TRUTH_OFFSETS_S:
        expected = ' or '.join(f'{offset:g}' for offset in TRUTH_OFFSETS_S)
        raise AvdetError(f'{path}: avdet.label_offset_s: expected {expected}, found {found:g}')
    if found != offset_s:
        raise AvdetError(
            f'{path}: avdet.label_offset_s: expected {offset_s:g} as in the first model, '
            f'found {found:g}'
        )


_worker: _Worker


def _start_worker(plan: WindowPlan) -> None:
    global _worker
    end_with_parent()
    with _without_warnings():
        _worker = _Worker(plan)


def _work(seed: int) -> WindowRecord:
    with _without_warnings():
        return _worker.run(seed)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress warnings that a model was trained for another array: the caller warns once."""
    logger = logging.getLogger('avdet_ros.detection.session')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
