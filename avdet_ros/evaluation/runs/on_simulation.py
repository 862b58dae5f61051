"""Runs of detectors on simulated drives, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.dataset.splits import SPLIT_SEEDS
from avdet_ros.detection.model_file import front_end_for
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.baselines import (
    ConstantBoxes,
    LabelStatistics,
    SteeredResponse,
    fit_labels,
)
from avdet_ros.evaluation.runs.detectors import ModelDetector, WindowDetector, detect_window
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig, load_rig

if TYPE_CHECKING:
    from avdet_ros.simulation.truth import Truth

CONSTANT, STEERED = 'constant boxes', 'SRP-PHAT'
"""Names of the baselines."""

BASELINE_START = {CONSTANT: 0.02, STEERED: 0.1}
"""Scores from which the baselines' boxes start tracks: the best HOTA on validation drives. Their
scores are not probabilities; at the 0.8 of a trained detector they would track nothing."""

TRAINING_SEEDS, VALIDATION_SEEDS, TEST_SEEDS = (
    range(*SPLIT_SEEDS[split]) for split in ('train', 'val', 'test')
)
"""Seeds of each split. Nothing is fitted on test seeds, and only choices are made on validation
seeds."""

LABEL_DRIVES = 300
"""Training drives whose labels the baselines are fitted on; their sound is not needed."""


@dataclass(frozen=True)
class Plan:
    """Drives to simulate, and detectors to run on them.

    Attributes:
        seeds: seeds of the drives.
        seconds: length of each drive.
        rate_hz: windows a second.
        label_offset_s: instant of the boxes relative to a window's end.
        models: ONNX files by name.
        statistics: summary of the training labels; None leaves the baselines out.
        rig_path: the rig file, None for the package's own.
        threads: threads of one inference.
    """

    seeds: tuple[int, ...]
    seconds: float
    rate_hz: float
    label_offset_s: float
    models: dict[str, Path]
    statistics: LabelStatistics | None
    rig_path: Path | None = None
    threads: int = 1


def training_statistics(rig: Rig, drives: int = LABEL_DRIVES) -> LabelStatistics:
    """Fit the baselines on the labels of the first training drives, one instant a second."""
    from avdet_ros.simulation.traffic import random_scene

    frames = []
    for seed in TRAINING_SEEDS[:drives]:
        scene = random_scene(seed, rig, 8.0)
        for t in np.arange(0.5, 8.0):
            labels = scene.labels(float(t))
            frames.append((labels.boxes_px, labels.distance_m))
    return fit_labels(frames)


def make_detectors(plan: Plan, rig: Rig, front_end: FrontEnd) -> dict[str, WindowDetector]:
    """Load all detectors of a plan."""
    detectors: dict[str, WindowDetector] = {}
    for name, path in plan.models.items():
        detector = Detector(path, rig, front_end, threads=plan.threads)
        if detector.contract.label_offset_s != plan.label_offset_s:
            raise AvdetError(
                f'{path}: avdet.label_offset_s: expected {plan.label_offset_s:g} as in the first '
                f'model, found {detector.contract.label_offset_s:g}'
            )
        detectors[name] = ModelDetector(detector)
    if plan.statistics is not None:
        detectors[CONSTANT] = ConstantBoxes(plan.statistics)
        detectors[STEERED] = SteeredResponse(plan.statistics, rig)
    return detectors


def run_on_drive(
    seed: int,
    plan: Plan,
    rig: Rig,
    front_end: FrontEnd,
    detectors: dict[str, WindowDetector],
) -> DriveRecord:
    """Render one drive and run every detector over its windows.

    Args:
        seed: seed of the drive.
        plan: see `Plan`.
        rig: microphones and camera.
        front_end: computes the features.
        detectors: detectors by name.
    """
    from avdet_ros.simulation.drive import is_static
    from avdet_ros.simulation.sound import render_sound
    from avdet_ros.simulation.traffic import random_scene

    scene = random_scene(seed, rig, plan.seconds)
    sound = render_sound(scene, 0.0, plan.seconds)
    motion = 'static' if is_static(scene) else 'drive'
    record = DriveRecord.empty(
        f'seed {seed}', detectors, {'motion': motion, 'setting': scene.setting}
    )
    for end in window_ends(plan.seconds, plan.rate_hz, front_end):
        waveform = np.ascontiguousarray(sound[:, end - front_end.samples : end], np.float32)
        spectrogram = front_end.compute(waveform)
        stamp_s = end / front_end.sample_rate_hz + plan.label_offset_s
        result = detect_window(detectors, waveform, spectrogram)
        record.add_window(stamp_s, truth_frame(scene.labels(stamp_s)), result)
    return record


def window_ends(seconds: float, rate_hz: float, front_end: FrontEnd) -> list[int]:
    """Return the sample indices at which windows end, the first as soon as one is full."""
    ends: list[int] = []
    while True:
        end = front_end.samples + round(len(ends) * front_end.sample_rate_hz / rate_hz)
        if end > round(seconds * front_end.sample_rate_hz):
            return ends
        ends.append(end)


def truth_frame(labels: Truth) -> TruthFrame:
    """Convert the simulator's labels of one instant to a frame of truth."""
    return TruthFrame(
        np.asarray(labels.boxes_px, np.float64),
        np.asarray(labels.ids, np.int64),
        np.asarray(labels.distance_m, np.float64),
        np.asarray(labels.visible_fraction, np.float64),
        np.asarray(labels.level_db, np.float64) - np.asarray(labels.rest_db, np.float64),
    )


def run_on_drives(plan: Plan, jobs: int = 1, progress: Progress = SILENT) -> list[DriveRecord]:
    """Run a plan; records are in the order of its seeds whatever the number of processes.

    Args:
        plan: see `Plan`.
        jobs: processes that share the drives.
        progress: shows how many drives are done.
    """
    done: dict[int, DriveRecord] = {}
    with progress.step('drives', len(plan.seeds)) as advance:
        for seed, record in _in_this_process(plan) if jobs == 1 else _in_processes(plan, jobs):
            done[seed] = record
            advance()
    return [done[seed] for seed in plan.seeds]


def _in_this_process(plan: Plan) -> Iterator[tuple[int, DriveRecord]]:
    rig = load_rig(plan.rig_path)
    front_end = front_end_for(rig, *plan.models.values())
    detectors = make_detectors(plan, rig, front_end)
    for seed in plan.seeds:
        yield seed, run_on_drive(seed, plan, rig, front_end, detectors)


def _in_processes(plan: Plan, jobs: int) -> Iterator[tuple[int, DriveRecord]]:
    # Spawned, not forked: the parent may hold threads of ONNX Runtime.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(jobs, context, _start_worker, (plan,)) as pool:
        waiting = {pool.submit(_work, seed): seed for seed in plan.seeds}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


_worker: tuple[Plan, Rig, FrontEnd, dict[str, WindowDetector]]


def _start_worker(plan: Plan) -> None:
    global _worker
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    rig = load_rig(plan.rig_path)
    front_end = front_end_for(rig, *plan.models.values())
    _worker = plan, rig, front_end, make_detectors(plan, rig, front_end)


def _work(seed: int) -> DriveRecord:
    plan, rig, front_end, detectors = _worker
    return run_on_drive(seed, plan, rig, front_end, detectors)


def check_request(seeds: Sequence[int], seconds: float, rate_hz: float) -> None:
    """Refuse an invalid request.

    Raises:
        AvdetError: no drive, a seed, length or rate out of range.
    """
    if not seeds:
        raise AvdetError('drives: expected at least 1, found 0')
    if min(seeds) < 0 or max(seeds) >= 1 << 31:
        raise AvdetError(f'seeds: expected 0 to {(1 << 31) - 1}, found {min(seeds)}..{max(seeds)}')
    if not 1.5 <= seconds <= 600:
        raise AvdetError(f'seconds: expected 1.5 to 600 a drive, found {seconds:g}')
    if not 0.1 <= rate_hz <= 100:
        raise AvdetError(f'rate: expected 0.1 to 100 windows a second, found {rate_hz:g}')


def split_of(seeds: Sequence[int]) -> str:
    """Return the split that all seeds belong to, or ``mixed``."""
    splits = {
        'training': TRAINING_SEEDS,
        'validation': VALIDATION_SEEDS,
        'test': TEST_SEEDS,
    }
    for name, split in splits.items():
        if min(seeds) in split and max(seeds) in split:
            return name
    return 'mixed'
