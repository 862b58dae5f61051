"""One comparison from two model files to numbers: on simulated drives, recorded ones, or bags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation import on_dataset
from avdet_ros.evaluation import on_simulation as runner
from avdet_ros.evaluation.agreement import Agreement, agreement, most_apart, sentence
from avdet_ros.evaluation.compare import (
    METRICS,
    Comparison,
    DifferingFrame,
    compare,
    most_different,
    verdict,
)
from avdet_ros.evaluation.drive_record import DriveRecord
from avdet_ros.evaluation.evaluation_run import CLIP_OFFSET_S, Step
from avdet_ros.evaluation.on_bags import HeardBag, bag_picture, hear_bag
from avdet_ros.evaluation.pictures import dataset_pictures, seed_pictures
from avdet_ros.rig import Rig, load_rig
from avdet_ros.tracking import Tracker

PIECE_S = 20.0
"""Bags are resampled in pieces of this length: vehicles pass within it."""

Picture = Callable[[DriveRecord, int], np.ndarray | None]


@dataclass
class Heard:
    """Two models on the same data.

    Attributes:
        known: drives or pieces of bags with truth.
        everything: all of them.
        unit: what they are, as ``drives`` or ``pieces of 20 s``.
        title: what was heard, one line.
        notes: what a reader must not miss.
        picture: of a frame, None to draw a road instead.
    """

    known: list[DriveRecord]
    everything: list[DriveRecord]
    unit: str
    title: str
    notes: list[str] = field(default_factory=list)
    picture: Picture = lambda record, index: None


@dataclass(frozen=True)
class Outcome:
    """What a comparison says.

    Attributes:
        metrics: by name; empty where nothing has truth.
        agreement: of the two with each other.
        verdict: one sentence.
        frames: where they differ most, and the records they are in.
        records: see above.
    """

    metrics: dict[str, Comparison]
    agreement: Agreement
    verdict: str
    frames: list[DifferingFrame]
    records: Sequence[DriveRecord]


def load_pair(a: Path, b: Path, rig: Rig) -> dict[str, Detector]:
    """Two models by the names that the tables use.

    Raises:
        AvdetError: one does not fit the rig, or their boxes hold for different instants.
    """
    names = (a.stem, b.stem) if a.stem != b.stem else (f'A {a.stem}', f'B {b.stem}')
    loaded = {
        name: Detector(path, rig, FrontEnd.of(rig), threads=1)
        for name, path in zip(names, (a, b), strict=True)
    }
    first, second = (detector.contract.label_offset_s for detector in loaded.values())
    if first != second:
        raise AvdetError(
            f'{b}: avdet.label_offset_s: expected {first:g} as in {a}, found {second:g}'
        )
    return loaded


def hear_seeds(
    models: dict[str, Path],
    label_offset_s: float,
    seeds: tuple[int, ...],
    seconds: float,
    rate_hz: float,
    rig_path: Path | None,
    jobs: int,
    step: Step,
) -> Heard:
    """Hear simulated drives; see `drives.Plan`."""
    runner.check_request(seeds, seconds, rate_hz)
    plan = runner.Plan(seeds, seconds, rate_hz, label_offset_s, models, None, rig_path)
    records = runner.hear_drives(plan, jobs, tick=step('drives', len(seeds)))
    split = runner.whose(seeds)
    title = f'{len(seeds)} {split} drives of {seconds:g} s, seeds {seeds[0]} to {seeds[-1]}'
    picture = seed_pictures(load_rig(rig_path), seconds)
    return Heard(records, records, 'drives', title, picture=picture)


def hear_data(
    paths: Sequence[Path], loaded: dict[str, Detector], split: str, rig: Rig, step: Step
) -> Heard:
    """Hear folders in the MAVD layout and bags.

    Args:
        paths: of either.
        loaded: the models by name.
        split: of the folders: train, val or test.
        rig: for pictures.
        step: see `Step`.

    Raises:
        AvdetError: one of the paths is neither, or cannot be used.
    """
    heard = Heard([], [], 'drives', ', '.join(path.name for path in paths))
    pictures: dict[str, Picture] = {}
    for path in paths:
        if any(dataset_split(path)):
            _hear_folder(path, loaded, split, rig, heard, pictures, step)
        else:
            _hear_bag(path, loaded, rig, heard, pictures, step)
    heard.picture = lambda record, index: pictures[record.name](record, index)
    return heard


def dataset_split(path: Path) -> list[Path]:
    """The split files of a folder in the MAVD layout; none for anything else."""
    return sorted(path.glob('*_all.txt')) if path.is_dir() else []


def _hear_folder(
    path: Path, loaded: dict[str, Detector], split: str, rig: Rig, heard: Heard,
    pictures: dict[str, Picture], step: Step,
) -> None:  # fmt: skip
    for detector in loaded.values():
        if detector.contract.label_offset_s != CLIP_OFFSET_S:
            raise AvdetError(
                f'{path}: expected models whose boxes hold for the middle of a window, '
                f'found avdet.label_offset_s {detector.contract.label_offset_s:g}'
            )
    frames = on_dataset.frames_of(path, split)
    tick = step(path.name, sum(map(len, frames.values())))
    wrapped = {name: runner.ModelDetector(detector) for name, detector in loaded.items()}
    found = on_dataset.hear_dataset(path, frames, wrapped, FrontEnd.of(rig), tick=tick)
    kind = on_dataset.TRUE if on_dataset.TRUE in found.records else on_dataset.FUSED
    records = found.records[kind]
    heard.known += records
    heard.everything += records
    heard.notes.append(f'{path}: compared against {kind}.')
    if found.broken:
        heard.notes.append(f'{path}: {len(found.broken)} frames left out: {found.broken[0]}')
    picture = dataset_pictures(path, found.frames[kind], rig)
    pictures.update({record.name: picture for record in records})


def _hear_bag(
    path: Path, loaded: dict[str, Detector], rig: Rig, heard: Heard,
    pictures: dict[str, Picture], step: Step,
) -> None:  # fmt: skip
    taken = {record.name for record in heard.everything}
    name = path.stem if path.suffix in ('.mcap', '.db3') else path.name
    name = str(path) if any(other.startswith(name) for other in taken) else name
    front_end = FrontEnd.of(rig)
    bag = hear_bag(path, name, loaded, front_end, step(name, None))
    if not bag.everything.stamps_s:
        raise AvdetError(
            f'bag {path}: {bag.report.source}: expected at least one window of sound, '
            f'found {bag.report.sound_s:.2f} s'
        )
    pieces = bag.everything.pieces(PIECE_S)
    heard.everything += pieces
    heard.unit = f'pieces of {PIECE_S:g} s'
    if bag.known is None:
        heard.notes.append(
            f'{path}: no truth in it: {", ".join(METRICS)} are absent, only agreement, latency '
            f'and size can be compared.'
        )
    else:
        heard.known += bag.known.pieces(PIECE_S)
        shown, windows = len(bag.known.stamps_s), len(bag.everything.stamps_s)
        if shown < windows:
            heard.notes.append(
                f'{path}: the truth is known at {shown} of {windows} windows, and scored there.'
            )
    if bag.report.partial:
        heard.notes.append(f'{path}: partial: {bag.report.partial}')

    def picture(record: DriveRecord, index: int, bag: HeardBag = bag) -> np.ndarray | None:
        return bag_picture(bag, record.stamps_s[index], rig)

    known = bag.known.pieces(PIECE_S) if bag.known else []
    pictures.update({record.name: picture for record in [*pieces, *known]})


def judge(
    heard: Heard,
    names: tuple[str, str],
    make_tracker: Callable[[], Tracker],
    resamples: int,
    pictures: int,
) -> Outcome:
    """Compare what was heard.

    Args:
        heard: of `hear_seeds` or `hear_data`.
        names: the two models.
        make_tracker: makes the tracker of both.
        resamples: bootstrap samples.
        pictures: how many differing frames to choose.
    """
    agreed = agreement(heard.everything, names, resamples)
    if not heard.known:
        frames = most_apart(heard.everything, names, pictures)
        words = sentence(agreed, names, len(heard.everything))
        return Outcome({}, agreed, words, frames, heard.everything)
    metrics = compare(heard.known, names, make_tracker, resamples)
    frames = most_different(heard.known, names, pictures)
    words = verdict(metrics, names, len(heard.known), heard.unit)
    return Outcome(metrics, agreed, words, frames, heard.known)
