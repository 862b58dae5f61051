"""Comparison of two model files on simulated drives, recorded drives, or bags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avdet_ros.detection.contract import LABEL_OFFSET_S
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.comparison.agreement import Agreement, agreement, most_apart, sentence
from avdet_ros.evaluation.comparison.differences import (
    METRICS,
    Comparison,
    DifferingFrame,
    compare,
    most_different,
    verdict,
)
from avdet_ros.evaluation.reports.pictures import dataset_pictures, seed_pictures
from avdet_ros.evaluation.runs import on_dataset, on_simulation
from avdet_ros.evaluation.runs.detectors import ModelDetector, WindowDetector, common_front_end
from avdet_ros.evaluation.runs.on_bags import BagRecords, bag_picture, run_on_bag
from avdet_ros.evaluation.runs.record import DriveRecord
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig, load_rig
from avdet_ros.tracking import Tracker

PIECE_S = 20.0
"""Length of the pieces in which bags are resampled: vehicles pass within it."""

Picture = Callable[[DriveRecord, int], np.ndarray | None]


@dataclass
class PairedRecords:
    """Detections of two models on the same data.

    Attributes:
        with_truth: drives or pieces of bags with truth.
        all_records: drives or pieces with and without truth.
        unit: name of the resampled units, such as ``drives`` or ``pieces of 20 s``.
        title: description of the data, one line.
        notes: caveats of the results.
        picture: gives the picture of a frame; None draws a road instead.
    """

    with_truth: list[DriveRecord]
    all_records: list[DriveRecord]
    unit: str
    title: str
    notes: list[str] = field(default_factory=list)
    picture: Picture = lambda record, index: None


@dataclass(frozen=True)
class Outcome:
    """Results of a comparison.

    Attributes:
        metrics: comparisons by name of the metric; empty without truth.
        agreement: agreement of the two with each other.
        verdict: one sentence.
        frames: frames where they differ most.
        records: the drives that `frames` index.
    """

    metrics: dict[str, Comparison]
    agreement: Agreement
    verdict: str
    frames: list[DifferingFrame]
    records: Sequence[DriveRecord]


def load_pair(a: Path, b: Path, rig: Rig) -> dict[str, Detector]:
    """Load two models under the names that the tables use.

    Raises:
        AvdetError: one does not fit the rig, or their boxes hold for different instants.
    """
    names = (a.stem, b.stem) if a.stem != b.stem else (f'A {a.stem}', f'B {b.stem}')
    loaded = {
        name: Detector(path, rig, threads=1) for name, path in zip(names, (a, b), strict=True)
    }
    first, second = (detector.contract.label_offset_s for detector in loaded.values())
    if first != second:
        raise AvdetError(
            f'{b}: avdet.label_offset_s: expected {first:g} as in {a}, found {second:g}'
        )
    return loaded


def run_on_seeds(
    models: dict[str, Path],
    label_offset_s: float,
    seeds: tuple[int, ...],
    seconds: float,
    rate_hz: float,
    rig_path: Path | None,
    jobs: int,
    progress: Progress = SILENT,
) -> PairedRecords:
    """Run two models on simulated drives; see `on_simulation.Plan`."""
    on_simulation.check_request(seeds, seconds, rate_hz)
    plan = on_simulation.Plan(seeds, seconds, rate_hz, label_offset_s, models, None, rig_path)
    records = on_simulation.run_on_drives(plan, jobs, progress)
    split = on_simulation.split_of(seeds)
    title = f'{len(seeds)} {split} drives of {seconds:g} s, seeds {seeds[0]} to {seeds[-1]}'
    picture = seed_pictures(load_rig(rig_path), seconds)
    return PairedRecords(records, records, 'drives', title, picture=picture)


def run_on_paths(
    paths: Sequence[Path],
    loaded: dict[str, Detector],
    split: str,
    rig: Rig,
    progress: Progress = SILENT,
) -> PairedRecords:
    """Run two models on folders in the MAVD layout and on bags.

    Args:
        paths: folders and bags.
        loaded: the models by name.
        split: split of the folders: train, val or test.
        rig: rig for the pictures.
        progress: shows the progress.

    Raises:
        AvdetError: one of the paths is neither, or cannot be used.
    """
    pair = PairedRecords([], [], 'drives', ', '.join(path.name for path in paths))
    pictures: dict[str, Picture] = {}
    for path in paths:
        if any(dataset_split(path)):
            _run_on_folder(path, loaded, split, rig, pair, pictures, progress)
        else:
            _run_on_bag(path, loaded, rig, pair, pictures, progress)
    pair.picture = lambda record, index: pictures[record.name](record, index)
    return pair


def dataset_split(path: Path) -> list[Path]:
    """Return the split files of a folder in the MAVD layout; none for anything else."""
    return sorted(path.glob('*_all.txt')) if path.is_dir() else []


def _run_on_folder(
    path: Path,
    loaded: dict[str, Detector],
    split: str,
    rig: Rig,
    pair: PairedRecords,
    pictures: dict[str, Picture],
    progress: Progress,
) -> None:
    for detector in loaded.values():
        if detector.contract.label_offset_s != LABEL_OFFSET_S:
            raise AvdetError(
                f'{path}: expected models whose boxes hold for the middle of a window, '
                f'found avdet.label_offset_s {detector.contract.label_offset_s:g}'
            )
    frames = on_dataset.frames_of(path, split)
    wrapped: dict[str, WindowDetector] = {
        name: ModelDetector(detector) for name, detector in loaded.items()
    }
    front_end = common_front_end(loaded)
    found = on_dataset.run_on_dataset(path, frames, wrapped, front_end, progress=progress)
    kind = on_dataset.TRUE if on_dataset.TRUE in found.records else on_dataset.FUSED
    records = found.records[kind]
    pair.with_truth += records
    pair.all_records += records
    pair.notes.append(f'{path}: compared against {kind}.')
    if found.state_counts is not None:
        pair.notes.append(f'{path}: {found.state_counts.sentence}')
    if found.broken:
        pair.notes.append(f'{path}: {len(found.broken)} frames left out: {found.broken[0]}')
    picture = dataset_pictures(path, found.frames[kind], rig)
    pictures.update({record.name: picture for record in records})


def _run_on_bag(
    path: Path,
    loaded: dict[str, Detector],
    rig: Rig,
    pair: PairedRecords,
    pictures: dict[str, Picture],
    progress: Progress,
) -> None:
    used_names = {record.name for record in pair.all_records}
    name = path.stem if path.suffix in ('.mcap', '.db3') else path.name
    name = str(path) if any(other.startswith(name) for other in used_names) else name
    front_end = common_front_end(loaded)
    bag = run_on_bag(path, name, loaded, front_end, rig, progress)
    if not bag.all_windows.stamps_s:
        raise AvdetError(
            f'bag {path}: {bag.report.source}: expected at least one window of sound, '
            f'found {bag.report.sound_s:.2f} s'
        )
    pieces = bag.all_windows.pieces(PIECE_S)
    pair.all_records += pieces
    pair.unit = f'pieces of {PIECE_S:g} s'
    if bag.with_truth is None:
        pair.notes.append(
            f'{path}: no truth in it: {", ".join(METRICS)} are absent, only agreement, latency '
            f'and size can be compared.'
        )
    else:
        pair.with_truth += bag.with_truth.pieces(PIECE_S)
        shown, windows = len(bag.with_truth.stamps_s), len(bag.all_windows.stamps_s)
        if shown < windows:
            pair.notes.append(
                f'{path}: the truth is known at {shown} of {windows} windows, and scored there.'
            )
    if bag.state_counts is not None:
        pair.notes.append(f'{path}: {bag.state_counts.sentence}')
    if bag.report.partial:
        pair.notes.append(f'{path}: partial: {bag.report.partial}')

    def picture(record: DriveRecord, index: int, bag: BagRecords = bag) -> np.ndarray | None:
        return bag_picture(bag, record.stamps_s[index], rig)

    true_pieces = bag.with_truth.pieces(PIECE_S) if bag.with_truth else []
    pictures.update({record.name: picture for record in [*pieces, *true_pieces]})


def compare_pair(
    pair: PairedRecords,
    names: tuple[str, str],
    make_tracker: Callable[[], Tracker],
    resamples: int,
    pictures: int,
) -> Outcome:
    """Compare two models.

    Args:
        pair: result of `run_on_seeds` or `run_on_paths`.
        names: the two models.
        make_tracker: makes the tracker for both.
        resamples: bootstrap samples.
        pictures: how many differing frames to choose.
    """
    agreed = agreement(pair.all_records, names, resamples)
    if not pair.with_truth:
        frames = most_apart(pair.all_records, names, pictures)
        words = sentence(agreed, names, len(pair.all_records))
        return Outcome({}, agreed, words, frames, pair.all_records)
    metrics = compare(pair.with_truth, names, make_tracker, resamples)
    frames = most_different(pair.with_truth, names, pictures)
    words = verdict(metrics, names, len(pair.with_truth), pair.unit)
    return Outcome(metrics, agreed, words, frames, pair.with_truth)
