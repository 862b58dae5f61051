"""Everything that finds boxes, run over the windows of a set: the rows of the bearing tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
import multiprocessing
import os
from pathlib import Path
import time
from typing import Any, Protocol

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.baselines import ConstantBoxes, LabelStatistics, SteeredResponse
from avdet_ros.evaluation.bearing_scores import Windows
from avdet_ros.evaluation.bearings import FoundBearings, TrueBearings
from avdet_ros.evaluation.drive_record import DriveRecord, TruthFrame
from avdet_ros.evaluation.on_simulation import CONSTANT, STEERED, WindowDetector
from avdet_ros.evaluation.window_store import (
    TRUTH_OFFSETS_S,
    DriveWindows,
    WindowSetting,
    WindowStore,
)
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.one_run import end_with_parent


class Row(Protocol):
    """Finds boxes in a drive's windows."""

    def detect(self, drive: DriveWindows) -> tuple[list[Detections], list[float]]:
        """Boxes of each window and the milliseconds each took, without the features."""


class ModelRow:
    """A model with the rig file as it is."""

    def __init__(self, path: Path, rig: Rig, threads: int = 1) -> None:
        """Load it.

        Args:
            path: ONNX file.
            rig: what the rig file says.
            threads: of one inference.
        """
        self._front_end = FrontEnd.of(rig)
        self.detector = Detector(path, rig, self._front_end, threads=threads)

    def detect(self, drive: DriveWindows) -> tuple[list[Detections], list[float]]:
        """Boxes of each window; the drive's true geometry is not looked at."""
        found, times = [], []
        for waveform in drive.waveforms(self._front_end.samples):
            features = self._front_end.compute(waveform)
            start = time.perf_counter()
            found.append(self.detector.detect(features))
            times.append(1e3 * (time.perf_counter() - start))
        return found, times


class BaselineRow:
    """A baseline, which hears the waveform."""

    def __init__(self, detector: WindowDetector, samples: int) -> None:
        """Wrap a baseline that looks at no features."""
        self._detector, self._samples = detector, samples

    def detect(self, drive: DriveWindows) -> tuple[list[Detections], list[float]]:
        """Boxes of each window."""
        found, times = [], []
        nothing = np.zeros(0, np.float32)
        for waveform in drive.waveforms(self._samples):
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
    statistics: LabelStatistics | None = None
    rig_path: Path | None = None
    cache: Path | None = None
    kept: int = 0


def run_windows(
    plan: WindowPlan, jobs: int = 1, tick: Callable[[], None] = lambda: None
) -> list[DriveRecord]:
    """Run all rows over all drives, in the order of the seeds whatever the number of processes.

    Args:
        plan: see `WindowPlan`.
        jobs: processes that share the drives.
        tick: called whenever a drive is done.

    Raises:
        AvdetError: also when a process was ended from outside.
    """
    done: dict[int, DriveRecord] = {}
    if jobs == 1:
        worker = _Worker(plan)
        for seed in plan.seeds:
            done[seed] = worker.run(seed)
            tick()
        return list(done.values())
    # Spawned, not forked: the parent may hold threads of ONNX Runtime.
    context = multiprocessing.get_context('spawn')
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')
    with ProcessPoolExecutor(jobs, context, _start_worker, (plan,)) as pool:
        waiting = {pool.submit(_work, seed): seed for seed in plan.seeds}
        try:
            for future in as_completed(waiting):
                done[waiting[future]] = future.result()
                tick()
        except BrokenProcessPool as error:
            raise AvdetError(
                'a process hearing windows was ended from outside, perhaps for want of memory; '
                'the same command goes on from the windows that are rendered'
            ) from error
        finally:
            for future in waiting:
                future.cancel()
    return [done[seed] for seed in plan.seeds]


class _Worker:
    def __init__(self, plan: WindowPlan) -> None:
        self._plan = plan
        self._store = WindowStore(plan.cache, plan.setting, load_rig(plan.rig_path))
        self._kept = set(plan.seeds[: plan.kept])
        self._rows = make_rows(plan)

    def run(self, seed: int) -> DriveRecord:
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
        return record


def make_rows(plan: WindowPlan) -> dict[str, Row]:
    """Everything a plan compares, loaded, by name."""
    rig = load_rig(plan.rig_path)
    rows: dict[str, Row] = {}
    for name, path in plan.models.items():
        row = ModelRow(path, rig)
        check_offset(path, row.detector, plan.label_offset_s)
        rows[name] = row
    if plan.statistics is not None:
        samples = FrontEnd.of(rig).samples
        rows[STEERED] = BaselineRow(SteeredResponse(plan.statistics, rig), samples)
        rows[CONSTANT] = BaselineRow(ConstantBoxes(plan.statistics), samples)
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
    _worker = _Worker(plan)


def _work(seed: int) -> DriveRecord:
    return _worker.run(seed)


def found_bearings(detections: Detections, rig: Rig) -> FoundBearings:
    """Bearings of boxes, seen from the rig's camera."""
    return FoundBearings(
        box_azimuth_deg(detections.boxes_px, rig), np.asarray(detections.scores, np.float64)
    )


def true_bearings(truth: TruthFrame, rig: Rig) -> TrueBearings:
    """Bearings of true boxes, seen from the rig's camera."""
    return TrueBearings(
        box_azimuth_deg(truth.boxes_px, rig), truth.distance_m, truth.level_db, truth.visible
    )


def box_azimuth_deg(boxes_px: np.ndarray, rig: Rig) -> np.ndarray:
    """(N,) azimuth of the middles of (N, 4) boxes, seen from the camera, left positive."""
    boxes = np.asarray(boxes_px, np.float64).reshape(-1, 4)
    rays = rig.camera.directions((boxes[:, :2] + boxes[:, 2:]) / 2)
    return np.degrees(np.arctan2(rays[:, 1], rays[:, 0]))


def bearings_of(records: Sequence[DriveRecord], detector: str, rig: Rig) -> list[Windows]:
    """Found and true bearings of one row, by drive."""
    return [
        [
            (found_bearings(found, rig), true_bearings(truth, rig))
            for found, truth in zip(record.detections[detector], record.truth, strict=True)
        ]
        for record in records
    ]


def about(detector: Detector, path: Path) -> dict[str, Any]:
    """What a model is, for JSON."""
    return {
        'file': str(path),
        'sha256': detector.sha256,
        'bytes': detector.size_bytes,
        'contract': detector.contract.contract_version,
        'recipe': detector.contract.recipe,
    }
