"""Models and baselines run on the windows of a set: the rows of the bearing tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
import logging
import multiprocessing
import os
from pathlib import Path
import time
from typing import Any, Protocol

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.moving_steering import USUAL_AIR_C
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearings.of_boxes import WindowRecord
from avdet_ros.evaluation.runs.baselines import ConstantBoxes, LabelStatistics, SteeredResponse
from avdet_ros.evaluation.runs.detectors import WindowDetector
from avdet_ros.evaluation.runs.on_simulation import CONSTANT, STEERED
from avdet_ros.evaluation.runs.record import DriveRecord
from avdet_ros.evaluation.runs.window_store import WindowSetting, WindowStore
from avdet_ros.evaluation.runs.windows import TRUTH_OFFSETS_S, DriveWindows
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import MICROPHONES, Rig, load_rig
from avdet_ros.simulation.conditions import true_rig
from avdet_ros.simulation.one_run import end_with_parent

CALIBRATED = ', calibrated'
"""Suffix of the name of a model that uses the calibrated geometry of each drive."""

BOUND = ', true geometry'
"""Suffix of the name of a model that uses the true geometry of each drive."""


class Row(Protocol):
    """Finds boxes in a drive's windows."""

    def detect(self, drive: DriveWindows) -> tuple[list[Detections], list[float]]:
        """Boxes of each window and the milliseconds each took, without the features."""


WITHOUT = ', without microphone '
"""Suffix, before its number, of the name of a model that knows one of the microphones as dead."""

KNOWN = ('speed', 'speed and air')
"""What models can be told of each drive beside the array: see `WindowPlan.known`."""

MEAN_OVER_S = 0.5
"""A true speed is that over so long, as `avdet_ros.tracking.ego_motion` has it from odometry."""

RigOf = Callable[[DriveWindows], Rig]
"""The rig that a detector assumes on a drive."""


def rig_file(drive: DriveWindows) -> Rig:
    """The rig of the rig file."""
    return drive.rig


def true_geometry(drive: DriveWindows) -> Rig:
    """The true rig, as a perfect calibration would find it."""
    return true_rig(drive.rig, drive.array)


def calibrated_by(plan: WindowPlan) -> RigOf:
    """The rig that calibration found for each drive's array."""
    rigs, condition = plan.calibrated or {}, plan.setting.condition
    return lambda drive: rigs[condition.array_seed(drive.seed)]


def without_microphone(number: int) -> RigOf:
    """The rig of the rig file, with one of its microphones known as dead."""
    last: list[tuple[Rig, Rig]] = []

    def rig_of(drive: DriveWindows) -> Rig:
        # Drives of one rig share it: steering is made once.
        if not last or last[0][0] is not drive.rig:
            alive = drive.rig.alive.copy()
            alive[number] = False
            last[:] = [(drive.rig, replace(drive.rig, alive=alive))]
        return last[0][1]

    return rig_of


MotionOf = Callable[[DriveWindows], list[tuple[float, float]]]
"""Speed ahead and air temperature of each window that a detector assumes on a drive."""


def check_known(known: str) -> str:
    """Refuse what no model can be told; '' is nothing.

    Raises:
        AvdetError: it is none of `KNOWN`.
    """
    if known and known not in KNOWN:
        raise AvdetError(f'--known: expected one of {", ".join(KNOWN)}, found {known!r}')
    return known


def standing(drive: DriveWindows) -> list[tuple[float, float]]:
    """An array that stands in usual air."""
    return [(0.0, USUAL_AIR_C)] * len(drive)


def true_motion(setting: WindowSetting, base: Rig, known: str) -> MotionOf:
    """What is true of each drive's speed in the middle of its windows, and of its air.

    Args:
        setting: of the drives.
        base: the plan's rig file.
        known: one of `KNOWN`.
    """

    def motion_of(drive: DriveWindows) -> list[tuple[float, float]]:
        scene = setting.condition.scene(drive.seed, base, setting.cut.duration_s)
        middle_s = drive.end_s - FrontEnd.of(drive.rig).window_s / 2
        air_c = scene.temperature_c if known == 'speed and air' else USUAL_AIR_C
        half_s = MEAN_OVER_S / 2
        before, after = (scene.ego_pose(middle_s + part)[0] for part in (-half_s, half_s))
        ahead = scene.ego_pose(middle_s)[1][:, :, 0]
        speeds = ((after - before) * ahead).sum(axis=1) / MEAN_OVER_S
        return [(float(speed), air_c) for speed in speeds]

    return motion_of


class ModelRow:
    """A model with the rig it is to assume.

    Attributes:
        detector: the model.
    """

    def __init__(
        self,
        path: Path,
        rig: Rig,
        rig_of: RigOf = rig_file,
        motion_of: MotionOf = standing,
        threads: int = 1,
    ) -> None:
        """Load it.

        Args:
            path: ONNX file.
            rig: one it fits.
            rig_of: gives each drive's.
            motion_of: gives each window's.
            threads: of one inference.
        """
        self._rig, self._rig_of, self._motion_of = rig, rig_of, motion_of
        self._front_end = FrontEnd.of(rig)
        self.detector = Detector(path, rig, self._front_end, threads=threads)

    def detect(self, drive: DriveWindows) -> tuple[list[Detections], list[float]]:
        """Boxes of each window; of the drive it uses only what `rig_of` and `motion_of` give."""
        rig = self._rig_of(drive)
        if rig is not self._rig:
            self._rig, self._front_end = rig, FrontEnd.of(rig)
            self.detector.use_rig(rig, self._front_end)
        found, times = [], []
        waveforms = drive.waveforms(self._front_end.samples)
        for waveform, (ahead_mps, air_c) in zip(waveforms, self._motion_of(drive), strict=True):
            features = self._front_end.compute(waveform)
            start = time.perf_counter()
            found.append(self.detector.detect(features, False, ahead_mps, air_c))
            times.append(1e3 * (time.perf_counter() - start))
        return found, times


class BaselineRow:
    """A baseline, which uses the waveform."""

    def __init__(self, make: Callable[[Rig], WindowDetector], rig: Rig) -> None:
        """Make it for a rig; it is made anew whenever a drive has another one.

        Args:
            make: makes a baseline that uses no features.
            rig: of the first drive.
        """
        self._make, self._rig, self._detector = make, rig, make(rig)

    def detect(self, drive: DriveWindows) -> tuple[list[Detections], list[float]]:
        """Boxes of each window."""
        if drive.rig is not self._rig:
            self._rig, self._detector = drive.rig, self._make(drive.rig)
        found, times = [], []
        nothing = np.zeros(0, np.float32)
        for waveform in drive.waveforms(FrontEnd.of(drive.rig).samples):
            start = time.perf_counter()
            found.append(self._detector.detect(waveform, nothing))
            times.append(1e3 * (time.perf_counter() - start))
        return found, times


@dataclass(frozen=True)
class WindowPlan:
    """What to run, and on which windows.

    Attributes:
        setting: of the windows.
        seeds: of the drives.
        models: ONNX files by name.
        bound: run each model once more, with the true geometry of each drive.
        calibrated: what calibration found for each array, by `Condition.array_seed`: run each
            model once more with it. None for not.
        one_dead: run each model eight times more, each time with another microphone dead.
        known: tell all models each drive's true ``speed``, or ``speed and air``; '' for neither.
        label_offset_s: instant of the boxes after a window's end.
        statistics: of the training labels; None leaves the baselines out.
        rig_path: rig file, None for the package's own.
        cache: folder of sets of windows; None keeps nothing.
        kept: how many of the drives may be kept there.
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
    """Run all rows over all drives, in the order of the seeds whatever the number of processes.

    Args:
        plan: see `WindowPlan`.
        jobs: processes that share the drives.
        progress: shows how many drives are done.
        step: name of the step.

    Raises:
        AvdetError: also when a process was ended from outside.
    """
    done: dict[int, WindowRecord] = {}
    with progress.step(step, len(plan.seeds)) as advance:
        for seed, record in _in_this_process(plan) if jobs == 1 else _in_processes(plan, jobs):
            done[seed] = record
            advance()
    return [done[seed] for seed in plan.seeds]


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
        waiting = {pool.submit(_work, seed): seed for seed in plan.seeds}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise AvdetError(
                'a process that ran windows was ended from outside, perhaps for want of memory; '
                'the same command goes on from the windows that are rendered'
            ) from error
        finally:
            for future in waiting:
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
    """Everything a plan compares, loaded, by name.

    Args:
        plan: see `WindowPlan`.
        base: the plan's rig file.
    """
    # Models and baselines are loaded for a rig that drives have; one of a family may be refused
    # where the file's is not.
    rig = plan.setting.condition.rig(plan.seeds[0], base)
    rows: dict[str, Row] = {}
    motion_of = true_motion(plan.setting, base, plan.known) if plan.known else standing
    for name, path in plan.models.items():
        row = ModelRow(path, rig, motion_of=motion_of)
        check_offset(path, row.detector, plan.label_offset_s)
        rows[name] = row
        if plan.calibrated is not None:
            rows[f'{name}{CALIBRATED}'] = ModelRow(path, rig, calibrated_by(plan), motion_of)
        if plan.bound:
            rows[f'{name}{BOUND}'] = ModelRow(path, rig, true_geometry, motion_of)
        for number in range(MICROPHONES if plan.one_dead else 0):
            rows[f'{name}{WITHOUT}{number + 1}'] = ModelRow(
                path, rig, without_microphone(number), motion_of
            )
    statistics = plan.statistics
    if statistics is not None:
        rows[STEERED] = BaselineRow(lambda its: SteeredResponse(statistics, its), rig)
        rows[CONSTANT] = BaselineRow(lambda _: ConstantBoxes(statistics), rig)
    return rows


def check_offset(path: Path, detector: Detector, offset_s: float) -> None:
    """Refuse a model whose boxes hold for another instant.

    Raises:
        AvdetError: see above.
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
    """The caller warns once if a model was trained for another array; not for each drive."""
    logger = logging.getLogger('avdet_ros.detection.session')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def about(detector: Detector, path: Path) -> dict[str, Any]:
    """What a model is, for JSON."""
    return {
        'file': str(path),
        'sha256': detector.sha256,
        'bytes': detector.size_bytes,
        'contract': detector.contract.contract_version,
        'recipe': detector.contract.recipe,
    }
