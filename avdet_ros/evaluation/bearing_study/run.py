"""One measurement of bearings: scores of a model and its baselines in one condition."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearing_study.calibrated_arrays import calibrate_arrays
from avdet_ros.evaluation.bearing_study.on_windows import WindowPlan, check_offset, run_windows
from avdet_ros.evaluation.bearing_study.rows import about
from avdet_ros.evaluation.bearings.early_vehicles import (
    EARLY_CUT,
    CornerDrive,
    corner_drives,
    early_scores,
)
from avdet_ros.evaluation.bearings.of_boxes import WindowRecord, bearings_of
from avdet_ros.evaluation.bearings.quiet_drives import (
    OTHER_CUT,
    OTHER_DB,
    QUIET_CUT,
    quiet_drives,
    quiet_scores,
)
from avdet_ros.evaluation.bearings.score_thresholds import threshold_scores
from avdet_ros.evaluation.bearings.scores import bearing_scores
from avdet_ros.evaluation.boxes.metrics import detection_metrics, drive_hits
from avdet_ros.evaluation.runs.baselines import LabelStatistics
from avdet_ros.evaluation.runs.on_simulation import (
    TEST_SEEDS,
    check_request,
    split_of,
    training_statistics,
)
from avdet_ros.evaluation.runs.window_store import Cut, WindowSetting, WindowStore
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.conditions import Condition
from avdet_ros.tracking import DEFAULT_TRACKER, make_tracker

RESAMPLES = 500


@dataclass(frozen=True)
class Request:
    """Settings of one measurement.

    Attributes:
        model: ONNX file.
        condition: world and array.
        drives: number of drives.
        windows: number of windows from each drive.
        seed_from: seed of the first drive.
        calibrate_minutes: minutes of other drives from which each vehicle's array is calibrated,
            for one more row; 0 leaves that out.
        one_dead: add one row for each microphone, with that one dead.
        known: true values that the model receives: ``speed``, ``speed and air``, '' for neither.
        quiet_minutes: minutes of drives without other vehicles; 0 leaves them out.
        other_minutes: the same with one other sound in view, at each of `OTHER_DB`
            relative to all other sound; 0 leaves that out.
        early_drives: number of drives at blind corners, where vehicles should be found early.
        baselines: run SRP-PHAT and constant boxes too.
        recordings: folder of loops as vehicle sound.
        sounds: folder of recordings as other sounds, None for synthetic ones.
        rig_path: rig file, None for the package's own.
        tracker: name of the tracker for false vehicles.
        cache: folder of rendered windows, None stores nothing.
        cache_bytes: maximum size of that folder.
        jobs: number of processes.
        name: name of the model's row; '' takes the file's name.
    """

    model: Path
    condition: Condition
    drives: int = 200
    windows: int = 3
    seed_from: int = TEST_SEEDS[0]
    calibrate_minutes: float = 0.0
    one_dead: bool = False
    known: str = ''
    quiet_minutes: float = 2.0
    other_minutes: float = 0.0
    early_drives: int = 0
    baselines: bool = True
    recordings: Path | None = None
    sounds: Path | None = None
    rig_path: Path | None = None
    tracker: str = DEFAULT_TRACKER
    cache: Path | None = None
    cache_bytes: int = 8 << 30
    jobs: int = 1
    name: str = ''

    @property
    def label(self) -> str:
        """Name of the model's row."""
        name = self.name or self.model.stem
        return f'{name}, {self.known} known' if self.known else name

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the drives."""
        return tuple(range(self.seed_from, self.seed_from + self.drives))

    def settings(self) -> dict[str, Any]:
        """Return everything the scores depend on besides the model, for JSON."""
        return {
            'condition': asdict(self.condition),
            'drives': self.drives,
            'windows_a_drive': self.windows,
            'seeds': [self.seed_from, self.seed_from + self.drives - 1],
            'calibrate_minutes': self.calibrate_minutes,
            'one_dead': self.one_dead,
            'known': self.known,
            'quiet_minutes': self.quiet_minutes,
            'other_minutes': self.other_minutes,
            'early_drives': self.early_drives,
            'recordings': str(self.recordings) if self.recordings else None,
            'sounds': str(self.sounds) if self.sounds else None,
            'tracker': self.tracker,
            'resamples': RESAMPLES,
        }


@dataclass(frozen=True)
class Measurement:
    """Results of one measurement.

    Attributes:
        title: one line.
        settings: settings for JSON.
        rows: by detector: ``bearings`` (`bearing_scores`), ``thresholds`` (`threshold_scores`),
            ``detection`` (`DetectionMetrics`), ``quiet`` (`quiet_scores`, None for baselines),
            ``other`` (the same with another sound, by its level), ``early`` (`early_scores`),
            ``milliseconds``.
        notes: important caveats for the reader.
    """

    title: str
    settings: dict[str, Any]
    rows: dict[str, dict[str, Any]]
    notes: list[str]


def measure(
    request: Request, progress: Progress = SILENT, statistics: LabelStatistics | None = None
) -> Measurement:
    """Measure one model in one condition.

    Args:
        request: see `Request`.
        progress: shows the progress.
        statistics: label statistics for the baselines, if already known.

    Raises:
        AvdetError: the request is invalid, the model does not fit, or a folder cannot be used.
    """
    cut = Cut(windows=request.windows)
    seeds = request.seeds
    check_request(seeds, cut.duration_s, QUIET_CUT.rate_hz)
    rig = load_rig(request.rig_path)
    notes: list[str] = []
    a_rig = request.condition.rig(seeds[0], rig)
    loaded = Detector(request.model, a_rig, threads=1)
    check_offset(request.model, loaded, loaded.contract.label_offset_s)
    steered = loaded.contract.azimuths_deg is not None
    if not steered and request.known:
        raise AvdetError(
            f'{request.model}: expected a model for any array, which can receive the '
            f'{request.known}, found one of contract {loaded.contract.contract_version}'
        )
    if not steered:
        notes.append(
            f'No row with the true geometry: {request.model} has no steering input to give it to.'
        )
    if request.baselines and statistics is None:
        with progress.step('labels for the baselines'):
            statistics = training_statistics(rig)
    plan = WindowPlan(
        setting=WindowSetting(request.condition, cut, request.recordings),
        seeds=seeds,
        models={request.label: request.model},
        label_offset_s=loaded.contract.label_offset_s,
        bound=steered and request.condition.array != 'ideal' and not request.one_dead,
        one_dead=steered and request.one_dead,
        known=request.known,
        statistics=statistics if request.baselines else None,
        rig_path=request.rig_path,
        cache=request.cache,
    )
    arrays = {}
    if request.calibrate_minutes and steered:
        arrays = calibrate_arrays(
            request.condition,
            request.calibrate_minutes,
            rig,
            request.cache,
            request.cache_bytes,
            request.jobs,
            progress,
        )
        plan = replace(plan, calibrated={seed: array.rig for seed, array in arrays.items()})
    notes += [
        f'array {seed}: not calibrated: {array.refused}'
        for seed, array in arrays.items()
        if array.refused
    ]
    records = _run(plan, request, progress, str(request.condition), notes)
    quiet = None
    if request.quiet_minutes:
        empty = replace(request.condition, empty=True)
        quiet = _run_empty(plan, request, progress, notes, empty, QUIET_CUT, request.quiet_minutes)
    noisy_records = {}
    for level_db in OTHER_DB if request.other_minutes else ():
        noisy = replace(request.condition, empty=True, other_db=level_db)
        noisy_records[f'{level_db:g}'] = _run_empty(
            plan, request, progress, notes, noisy, OTHER_CUT, request.other_minutes
        )
    corners = None
    if request.early_drives:
        corners = _corners(plan, request, rig, progress, notes)
    rows = {name: _scores(records, name, rig) for name in records[0].record.detections}
    for name, scores in rows.items():
        scores['quiet'] = _false_vehicles(quiet, name, request.tracker)
        scores['other'] = {
            level: _false_vehicles(empty_roads, name, request.tracker)
            for level, empty_roads in noisy_records.items()
        }
        scores['early'] = None
        if corners is not None and name in corners[0][0].record.detections:
            threshold = scores['bearings']['threshold']
            scores['early'] = early_scores(*corners, name, threshold, plan.label_offset_s)
    split = split_of(seeds)
    return Measurement(
        title=(
            f'{request.condition}: {request.drives * request.windows} windows of '
            f'{request.drives} {split} drives, seeds {seeds[0]} to {seeds[-1]}'
        ),
        settings={
            **request.settings(),
            'split': split,
            'model': about(loaded, request.model),
            'calibration': [
                {
                    'array': seed,
                    'before_us': 1e6 * array.before_s,
                    'after_us': 1e6 * array.after_s,
                    'refused': array.refused,
                }
                for seed, array in arrays.items()
            ],
        },
        rows=rows,
        notes=notes,
    )


def _run(
    plan: WindowPlan, request: Request, progress: Progress, name: str, notes: list[str]
) -> list[WindowRecord]:
    store = WindowStore(plan.cache, plan.setting, load_rig(plan.rig_path))
    with progress.step('room for windows'):
        kept, store_notes = store.prepare(list(plan.seeds), request.cache_bytes)
    notes += store_notes
    return run_windows(replace(plan, kept=kept), request.jobs, progress, name)


def _corners(
    plan: WindowPlan, request: Request, rig: Rig, progress: Progress, notes: list[str]
) -> tuple[list[WindowRecord], list[CornerDrive]] | None:
    """Run models over drives at blind corners; None if there are none."""
    condition = request.condition
    with progress.step('looking for blind corners'):
        drives = corner_drives(condition, rig, request.seed_from, request.early_drives)
    if not drives:
        notes.append(f'{condition}: there are no blind corners')
        return None
    corner_plan = replace(
        plan,
        setting=WindowSetting(condition, EARLY_CUT, request.recordings),
        seeds=tuple(drive.scene.seed for drive in drives),
        statistics=None,
    )
    return _run(corner_plan, request, progress, 'blind corners', notes), drives


def _run_empty(
    plan: WindowPlan,
    request: Request,
    progress: Progress,
    notes: list[str],
    condition: Condition,
    cut: Cut,
    minutes: float,
) -> list[WindowRecord]:
    """Run models on roads without other vehicles."""
    count = quiet_drives(minutes, cut)
    empty_plan = replace(
        plan,
        setting=WindowSetting(condition, cut, sounds=request.sounds),
        seeds=tuple(range(request.seed_from, request.seed_from + count)),
        statistics=None,
    )
    return _run(empty_plan, request, progress, str(condition), notes)


def _scores(windows: list[WindowRecord], name: str, rig: Rig) -> dict[str, Any]:
    size = rig.camera.width_px, rig.camera.height_px
    records = [window.record for window in windows]
    times = np.concatenate([record.milliseconds[name] for record in records])
    truth = [frame for record in records for frame in record.truth]
    found = [frame for record in records for frame in record.detections[name]]
    bearings = bearings_of(windows, name)
    hits = [drive_hits(record.truth, record.detections[name]) for record in records]
    return {
        'bearings': bearing_scores(bearings, RESAMPLES),
        'thresholds': threshold_scores(bearings, hits),
        'detection': asdict(detection_metrics(truth, found, size)),
        'milliseconds': {
            'p50': float(np.median(times)),
            'p99': float(np.percentile(times, 99)),
        },
    }


def _false_vehicles(
    windows: list[WindowRecord] | None, name: str, tracker: str
) -> dict[str, Any] | None:
    """Score models only: a baseline's boxes depend on how its thresholds were chosen."""
    if windows is None or name not in windows[0].record.detections:
        return None
    records = [window.record for window in windows]
    return quiet_scores(records, name, make_tracker(tracker), QUIET_CUT.rate_hz)
