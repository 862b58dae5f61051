"""Evaluation of a model file on simulated or recorded drives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avdet_ros.dataset.subsets import WHOLE, Subset
from avdet_ros.detection.contract import LABEL_OFFSET_S
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.reports.html import Picture, Results, write_report
from avdet_ros.evaluation.reports.pictures import dataset_pictures, seed_pictures
from avdet_ros.evaluation.runs import on_dataset, on_simulation
from avdet_ros.evaluation.runs.detectors import ModelDetector, WindowDetector
from avdet_ros.evaluation.runs.record import DriveRecord
from avdet_ros.evaluation.scores import score
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig, load_rig
from avdet_ros.tracking import IouTracker, Tracker, make_tracker, tracker_parameters


@dataclass(frozen=True)
class Run:
    """Results of an evaluation.

    Attributes:
        title: description of the data, one line.
        settings: model, drives and tracker, for JSON.
        results: one entry for each kind of truth.
        notes: caveats of the results.
        picture: gives the picture of a frame, for the report.
        main: name of the evaluated model.
    """

    title: str
    settings: dict[str, Any]
    results: list[Results]
    notes: list[str]
    picture: Picture
    main: str


def evaluate_seeds(
    model: Path,
    drives: int,
    seconds: float,
    seed_from: int,
    rate_hz: float,
    tracker: str,
    baselines: bool,
    rig_path: Path | None,
    jobs: int,
    progress: Progress = SILENT,
) -> Run:
    """Evaluate a model on simulated drives.

    Args:
        model: ONNX file.
        drives: number of drives.
        seconds: length of each drive.
        seed_from: seed of the first drive.
        rate_hz: windows a second.
        tracker: name of the model's tracker.
        baselines: run the baselines too.
        rig_path: the rig file.
        jobs: number of processes.
        progress: shows the progress.
    """
    seeds = tuple(range(seed_from, seed_from + drives))
    on_simulation.check_request(seeds, seconds, rate_hz)
    parameters = tracker_parameters(tracker)
    rig = load_rig(rig_path)
    loaded = Detector(model, rig, threads=1)
    statistics = None
    if baselines:
        with progress.step('labels for the baselines'):
            statistics = on_simulation.training_statistics(rig)
    plan = on_simulation.Plan(
        seeds=seeds,
        seconds=seconds,
        rate_hz=rate_hz,
        label_offset_s=loaded.contract.label_offset_s,
        models={model.stem: model},
        statistics=statistics,
        rig_path=rig_path,
    )
    records = on_simulation.run_on_drives(plan, jobs, progress)
    split = on_simulation.split_of(seeds)
    return Run(
        title=(
            f'{drives} {split} drives of {seconds:g} s, seeds {seeds[0]} to {seeds[-1]}, '
            f'{rate_hz:g} windows a second, tracker {tracker}'
        ),
        settings={
            'drives': drives,
            'seconds': seconds,
            'seeds': [seeds[0], seeds[-1]],
            'split': split,
            'rate_hz': rate_hz,
            'tracker': {'name': tracker, **parameters},
            'model': _about(loaded, model),
        },
        results=[_scored(on_dataset.TRUE, records, rig, tracker)],
        notes=[],
        picture=seed_pictures(rig, seconds),
        main=model.stem,
    )


def evaluate_dataset(
    model: Path,
    root: Path,
    split: str,
    subset: Subset,
    labels: Path | None,
    tracker: str,
    baselines: bool,
    rig_path: Path | None,
    progress: Progress = SILENT,
) -> Run:
    """Evaluate a model on recorded drives in the MAVD layout, against every kind of truth.

    Args:
        model: ONNX file.
        root: the data set's folder.
        split: train, val or test.
        subset: by day or night, standing or driving.
        labels: folder of the teachers' labels, None for ``<root>/labels``.
        tracker: name of the model's tracker.
        baselines: run the baselines too, fitted on the training split.
        rig_path: the rig file, None for that of the drives.
        progress: shows the progress.

    Raises:
        AvdetError: the data cannot be used, or the model's boxes hold for another instant than a
            frame's.
    """
    parameters = tracker_parameters(tracker)
    frames = on_dataset.frames_of(root, split, subset)
    rig = on_dataset.dataset_rig(root, list(frames), rig_path)
    loaded = Detector(model, rig, threads=1)
    if loaded.contract.label_offset_s != LABEL_OFFSET_S:
        raise AvdetError(
            f'{model}: avdet.label_offset_s: expected {LABEL_OFFSET_S:g}, the middle of the '
            'second '
            f'of sound that a frame has, found {loaded.contract.label_offset_s:g}'
        )
    detectors: dict[str, WindowDetector] = {model.stem: ModelDetector(loaded)}
    notes = []
    if baselines:
        with progress.step('labels for the baselines'):
            statistics = on_dataset.baseline_statistics(root, labels)
        if statistics is None:
            notes.append('No baselines: the training split has no labels to fit them on.')
        else:
            detectors |= on_dataset.baseline_detectors(statistics, rig)
    count = sum(len(ids) for ids in frames.values())
    found = on_dataset.run_on_dataset(root, frames, detectors, loaded.front_end, labels, progress)
    if found.state_counts is not None:
        notes.append(found.state_counts.sentence)
    if found.broken:
        notes.append(f'{len(found.broken)} of {count} frames left out, first: {found.broken[0]}')
    if not found.records:
        raise AvdetError(
            f'{root}: expected truth or labels of the {count} {split} frames, found none'
        )
    truth = next(iter(found.records))
    kind = 'frames' if subset == WHOLE else f'{subset} frames'
    return Run(
        title=f'{root.name}: {count} {split} {kind} of {len(frames)} drives, tracker {tracker}',
        settings={
            'data': str(root),
            'split': split,
            'daytime': subset.daytime,
            'motion': subset.motion,
            'drives': list(frames),
            'frames': count,
            'tracker': {'name': tracker, **parameters},
            'model': _about(loaded, model),
        },
        results=[_scored(kind, part, rig, tracker) for kind, part in found.records.items()],
        notes=notes,
        picture=dataset_pictures(root, found.frames[truth], rig),
        main=model.stem,
    )


def write(run: Run, path: Path, command: str, pictures: int) -> None:
    """Write the run as an HTML report; see `write_report`."""
    model = run.settings['model']
    facts = {
        'model': f'{model["file"]}, {model["bytes"] / 1e6:.2f} MB, sha256 {model["sha256"]}',
        'recipe': model['recipe'] or 'unknown',
        'run on': model['provider'],
        'data': run.title,
        'tracker': ', '.join(f'{key} {value}' for key, value in run.settings['tracker'].items()),
    }
    write_report(
        path,
        f'{run.main}, evaluated',
        run.title,
        run.results,
        run.picture,
        facts,
        command,
        run.notes,
        pictures,
    )


def _scored(kind: str, records: list[DriveRecord], rig: Rig, tracker: str) -> Results:
    names = records[0].detections
    return Results(
        kind, records, {name: score(records, name, rig, _tracker(name, tracker)) for name in names}
    )


def _tracker(name: str, tracker: str) -> Tracker:
    if name in on_simulation.BASELINE_START:
        return IouTracker(new_track_threshold=on_simulation.BASELINE_START[name])
    return make_tracker(tracker)


def _about(loaded: Detector, path: Path) -> dict[str, Any]:
    return {
        'file': str(path),
        'sha256': loaded.sha256,
        'bytes': loaded.size_bytes,
        'provider': loaded.provider,
        'recipe': loaded.contract.recipe,
    }
