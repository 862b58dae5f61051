"""From recorded drives to a data set that `avdet train student` reads, in the MAVD layout.

Each RGB picture becomes a frame with the second of sound centred on it. Everything is matched by
header stamps, never by when the recorder received it; what is missing is counted and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
import hashlib
import json
from pathlib import Path
import re
import shutil

import numpy as np
import yaml

from avdet_ros.bags.camera_info import camera_model, drive_camera
from avdet_ros.bags.drive_files import write_clip, write_lists, write_picture, write_truth
from avdet_ros.bags.drive_sound import DriveSound
from avdet_ros.bags.geometry import StaticTransforms, alignment, rig_tree
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.bags.truth import RecordedTruth
from avdet_ros.dataset import layout
from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.dataset.thermal_counts import ThermalScale, find_scale
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import COMPRESSED_IMAGE, DETECTIONS, IMAGE, decode_picture, stamp_ns
from avdet_ros.rig import parse_rig

SYNC_S = 0.05
"""A thermal or depth picture belongs to an RGB picture that is no further away in time."""

CLOCKS_S = 0.5
"""Stamps of two topics may differ by this, at equal receive times, before clocks disagree."""

SCALE_PICTURES = 24
"""Thermal pictures that the scale of the counts is found from."""

SPLIT = {'train': 0.6, 'val': 0.2, 'test': 0.2}
"""MAVD's shares, by drives: windows overlap, so a split by frame would leak."""


@dataclass
class DriveReport:
    """What became of one bag.

    Attributes:
        bag: its path.
        drive: the drive's folder.
        frames: frames written.
        without_sound: pictures left out since their second of sound is not whole.
        missing: frames without a picture, by modality.
        with_truth: frames whose true boxes the bag holds, as bags of simulated drives do.
        gaps: pieces of sound lost.
        lost_s: seconds of sound lost.
        camera: where size and matrix of the RGB camera come from.
        alignment: how other cameras' pictures were laid over the RGB camera's.
        thermal: what the thermal camera's counts were taken for.
        split: train, val or test.
        partial: None, or why this is not the whole drive.
    """

    bag: str
    drive: str
    frames: int = 0
    without_sound: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    with_truth: int = 0
    gaps: int = 0
    lost_s: float = 0.0
    camera: str = ''
    alignment: dict[str, str] = field(default_factory=dict)
    thermal: str = ''
    split: str = ''
    partial: str | None = None


def convert(
    bags: Sequence[Path],
    out: Path,
    topics: dict[str, str],
    audio: str | None = None,
    rig_path: Path | None = None,
    rate_hz: float = 10.0,
    kelvin_per_count: float | None = None,
    on_drive: Callable[[DriveReport], None] = lambda report: None,
) -> list[DriveReport]:
    """Write bags as a data set; one drive a bag.

    Args:
        bags: the recordings. A drive's name comes from its bag's; one with ``day`` in it counts
            as recorded by day.
        out: folder to make.
        topics: image topic by modality: ``rgb``, and ``thermal`` and ``depth`` where recorded.
        audio: topic of the sound; None looks for ``audio`` in any namespace.
        rig_path: rig file; camera_info and static TF of a bag overrule it.
        rate_hz: frames a second at most.
        kelvin_per_count: of the thermal camera, see `thermal_counts.find_scale`.
        on_drive: called after each drive.

    Returns:
        A report a drive, also written to ``dataset.json``.

    Raises:
        AvdetError: a bag or a topic cannot be used, or ``out`` exists. Drives finished before
            are kept; one without a file ``DONE`` is not whole.
    """
    if not 0.1 <= rate_hz <= 100:
        raise AvdetError(f'rate: expected 0.1 to 100 frames a second, found {rate_hz:g}')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AvdetError(f'{out}: expected a new or empty folder for the data set, found files')
    names = drive_names(bags)
    splits = split_drives(list(names.values()))
    out.mkdir(parents=True, exist_ok=True)
    reports: list[DriveReport] = []
    ids: list[layout.FrameId] = []
    try:
        for path, drive in names.items():
            try:
                report, frames = _convert_drive(
                    path, out, drive, topics, audio, rig_path, rate_hz, kelvin_per_count
                )
            except BaseException:
                shutil.rmtree(out / drive, ignore_errors=True)
                raise
            report.split = splits[drive]
            reports.append(report)
            ids.extend(frames)
            on_drive(report)
    finally:
        if reports:
            write_lists(out, ids, splits)
            text = json.dumps([asdict(report) for report in reports], indent=2)
            (out / 'dataset.json').write_text(text + '\n', encoding='utf-8')
    return reports


def drive_names(bags: Sequence[Path]) -> dict[Path, str]:
    """A drive's name for each bag, in the bags' order.

    Raises:
        AvdetError: no bags, or two bags of one name.
    """
    names: dict[Path, str] = {}
    for path in bags:
        stem = path.resolve().stem if path.suffix in ('.mcap', '.db3') else path.resolve().name
        name = re.sub(r'[^A-Za-z0-9_-]+', '_', stem).strip('_') or 'drive'
        if name in names.values():
            raise AvdetError(f'{path}: expected bags of different names, found {name} twice')
        names[path] = name
    if not names:
        raise AvdetError('bags: expected at least one, found none')
    return names


def split_drives(drives: Sequence[str]) -> dict[str, str]:
    """Which split each drive belongs to; a drive is never in two.

    The order is that of the names' hashes, so it is independent of when or where they were
    recorded. With two drives there is no test split, with one neither test nor validation.
    """
    order = sorted(drives, key=lambda name: hashlib.sha256(name.encode()).digest())
    count = len(order)
    test = max(1, round(SPLIT['test'] * count)) if count >= 3 else 0
    val = max(1, round(SPLIT['val'] * count)) if count >= 2 else 0
    kinds = ['test'] * test + ['val'] * val + ['train'] * (count - test - val)
    return dict(zip(order, kinds, strict=True))


def _convert_drive(
    path: Path,
    out: Path,
    drive: str,
    topics: dict[str, str],
    audio: str | None,
    rig_path: Path | None,
    rate_hz: float,
    kelvin_per_count: float | None,
) -> tuple[DriveReport, list[layout.FrameId]]:
    folder = out / drive
    report = DriveReport(str(path), drive)
    with Bag(path) as bag:
        audio = audio or bag.find('audio', IMAGE) or '/avdet/audio'
        bag.require(audio, IMAGE)
        for topic in topics.values():
            bag.require(topic, IMAGE, COMPRESSED_IMAGE)
        camera, report.camera = drive_camera(bag, topics['rgb'], rig_path)
        transforms = StaticTransforms(bag)
        tree = rig_tree(rig_path, camera, transforms)
        rig = parse_rig(tree, where=f'bag {path}')
        folder.mkdir(parents=True)
        scratch = folder / 'sound.part'
        try:
            sound = DriveSound(bag, audio, rig.sample_rate_hz, scratch)
            report.gaps = len(sound.gaps)
            report.lost_s = round(sum(lost for _, lost in sound.gaps) / rig.sample_rate_hz, 6)
            stamps = {kind: _stamps(bag, name, audio, sound) for kind, name in topics.items()}
            frames = _choose(stamps['rgb'], rate_hz)
            whole = [now for now in frames if sound.around(now, layout.CLIP_S) is not None]
            report.without_sound = len(frames) - len(whole)
            if not whole:
                raise AvdetError(
                    f'bag {path}: {topics["rgb"]}: expected pictures with a second of sound '
                    f'around them, found none: {_span(stamps["rgb"])} against '
                    f'{_span([sound.start_ns, sound.end_ns])} on {audio}'
                )
            ids = [layout.make_id(drive, now) for now in whole]
            for frame in ids:
                write_clip(out, frame, sound.around(frame.stamp_ns, layout.CLIP_S), rig)
            size = rig.camera.width_px, rig.camera.height_px
            for kind, name in topics.items():
                if kind == 'rgb':
                    undistort = camera.undistort() if camera else lambda image: image
                    fit = _exactly(undistort, size, f'bag {path}: {name}', camera is not None)
                else:
                    other, why = camera_model(bag, name)
                    fit, how = alignment(camera, other, transforms, size, why)
                    report.alignment[kind] = how
                wanted = _nearest(ids, stamps[kind], 0.0 if kind == 'rgb' else SYNC_S)
                report.missing[kind] = len(ids) - sum(map(len, wanted.values()))
                scale = ThermalScale()
                if kind == 'thermal':
                    some = [sorted(wanted)[i] for i in evenly_spaced(len(wanted), SCALE_PICTURES)]
                    some = {stamp: wanted[stamp] for stamp in some}
                    images = (image for _, image in _pictures(bag, name, some))
                    scale = find_scale(images, kelvin_per_count)
                    report.thermal = scale.how
                for frame, image in _pictures(bag, name, wanted):
                    image = scale.apply(image)
                    write_picture(out, frame, kind, fit(image), rig.camera.fx)
            if truth := bag.find('truth', DETECTIONS):
                report.with_truth = write_truth(folder, ids, RecordedTruth(bag, truth))
        finally:
            scratch.unlink(missing_ok=True)
        report.frames = len(ids)
        report.missing = {kind: count for kind, count in report.missing.items() if count}
        report.partial = '; '.join(filter(None, (bag.partial, sound.note))) or None
    (folder / 'rig.yaml').write_text(yaml.safe_dump(tree, sort_keys=False), encoding='utf-8')
    facts = {
        'start_ns': sound.start_ns,
        'source': str(path),
        'topics': topics,
        'audio': audio,
        'partial': report.partial,
    }
    (folder / 'parameters.json').write_text(json.dumps(facts, indent=2) + '\n', encoding='utf-8')
    (folder / layout.DONE).touch()
    return report, ids


def _stamps(bag: Bag, topic: str, audio: str, sound: DriveSound) -> list[int]:
    """Sorted stamps of a topic's pictures, on the sound's clock or not at all."""
    stamps, clock = [], []
    for message in bag.messages([topic]):
        now = stamp_ns(decode(message))
        if now <= 0:
            raise AvdetError(
                f'bag {bag.path}: {topic}: expected stamps in the headers, found {now}; '
                f'set them in the driver, since receive times are late by an unknown amount'
            )
        stamps.append(now)
        clock.append(message.stamp_ns - now)
    apart_s = (np.median(clock) - np.median(sound.clock_ns)) * 1e-9 if clock else 0.0
    if abs(apart_s) > CLOCKS_S:
        raise AvdetError(
            f'bag {bag.path}: {topic} and {audio}: expected stamps of one clock, found clocks '
            f'that disagree by {abs(apart_s):.3f} s; synchronise them (PTP, chrony)'
        )
    return sorted(stamps)


def _choose(stamps: Sequence[int], rate_hz: float) -> list[int]:
    """Stamps that are at least a frame's time apart, as near to the rate as they come."""
    step_ns = 1e9 / rate_hz
    chosen: list[int] = []
    due = -np.inf
    for now in stamps:
        if now >= due - 1e6:  # cameras jitter by less than a millisecond
            chosen.append(now)
            due = max(due + step_ns, now + step_ns / 2) if len(chosen) > 1 else now + step_ns
    return chosen


def _nearest(
    ids: Sequence[layout.FrameId], stamps: Sequence[int], apart_s: float
) -> dict[int, list[layout.FrameId]]:
    """Which frames a picture belongs to, by the picture's stamp."""
    wanted: dict[int, list[layout.FrameId]] = {}
    times = np.array(stamps, np.int64)
    for frame in ids:
        if len(times):
            near = int(times[np.argmin(np.abs(times - frame.stamp_ns))])
            if abs(near - frame.stamp_ns) <= apart_s * 1e9:
                wanted.setdefault(near, []).append(frame)
    return {stamp: frames for stamp, frames in wanted.items() if frames}


def _pictures(
    bag: Bag, topic: str, wanted: dict[int, list[layout.FrameId]]
) -> Iterator[tuple[layout.FrameId, np.ndarray]]:
    for message in bag.messages([topic]):
        decoded = decode(message)
        frames = wanted.pop(stamp_ns(decoded), ())
        if frames:
            image = decode_picture(decoded, f'bag {bag.path}: {topic}')
            for frame in frames:
                yield frame, image


def _exactly(
    undistort: Callable, size: tuple[int, int], where: str, has_info: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """Pass pictures of the rig's size; boxes are in the rig camera's pixels."""

    def check(image: np.ndarray) -> np.ndarray:
        if image.shape[1::-1] != size:
            source = 'its camera_info' if has_info else 'the rig file (there is no camera_info)'
            raise AvdetError(
                f'{where}: expected pictures of {size[0]} x {size[1]} as {source} says, '
                f'found {image.shape[1]} x {image.shape[0]}'
            )
        return undistort(image)

    return check


def _span(stamps: Sequence[int]) -> str:
    return f'{stamps[0] * 1e-9:.3f} to {stamps[-1] * 1e-9:.3f} s'
