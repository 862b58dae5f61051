"""Convert recorded bags to a data set in the MAVD layout, as `avdet train student` reads it.

Each RGB picture becomes a frame with the second of sound centred on it. Everything is matched by
header stamps, never by receive times. Missing data is counted and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
import hashlib
import json
from pathlib import Path
import re
import shutil

import numpy as np
import yaml

from avdet_ros.bags.array_motion import BagMotion
from avdet_ros.bags.camera_info import camera_model, drive_camera
from avdet_ros.bags.dataset_index import (
    UNFINISHED,
    DriveReport,
    finished_drives,
    write_index,
)
from avdet_ros.bags.drive_files import write_clip, write_picture, write_truth
from avdet_ros.bags.drive_motion import drive_motion
from avdet_ros.bags.drive_pictures import choose, exactly, nearest, picture_stamps, pictures
from avdet_ros.bags.drive_sound import DriveSound
from avdet_ros.bags.geometry import alignment, rig_tree
from avdet_ros.bags.left_out import LeftOut
from avdet_ros.bags.reader import Bag
from avdet_ros.bags.transforms import StaticTransforms
from avdet_ros.bags.truth import RecordedTruth
from avdet_ros.dataset import layout
from avdet_ros.dataset.odometry import write_odometry
from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.dataset.thermal_counts import ThermalScale, find_scale
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import COMPRESSED_IMAGE, DETECTIONS, IMAGE
from avdet_ros.rig import parse_rig

SYNC_S = 0.05
"""Maximum time between a thermal or depth picture and the RGB picture it is matched with."""

SCALE_PICTURES = 24
"""Number of thermal pictures from which the scale of the counts is inferred."""

SPLIT = {'train': 0.6, 'val': 0.2, 'test': 0.2}
"""MAVD's shares, split by drive: windows overlap, so a split by frame would leak."""


def convert(
    bags: Sequence[Path],
    out: Path,
    topics: dict[str, str],
    audio: str | None = None,
    rig_path: Path | None = None,
    rate_hz: float = 10.0,
    kelvin_per_count: float | None = None,
    on_drive: Callable[[DriveReport], None] = lambda report: None,
    on_failure: Callable[[Path, AvdetError], None] = lambda path, error: None,
    odometry: str | None = None,
) -> list[DriveReport]:
    """Convert bags to a data set with one drive per bag.

    Args:
        bags: the recordings. A drive is named after its bag; a name with the word ``day`` marks a
            drive recorded by day.
        out: folder to create.
        topics: image topic by modality: ``rgb``, and ``thermal`` and ``depth`` where recorded.
        audio: topic of the sound; None looks for ``audio`` in any namespace.
        rig_path: rig file; camera_info and static TF of a bag take precedence over it.
        rate_hz: maximum frame rate.
        kelvin_per_count: of the thermal camera, see `thermal_counts.find_scale`.
        on_drive: called after each drive.
        on_failure: called with each bag that could not be converted, and the error.
        odometry: odometry topic; '' uses none, None looks for ``odom``.

    Returns:
        One report per drive, also written to ``dataset.json``. Drives that an earlier run with
        the same bags finished are kept.

    Raises:
        AvdetError: a bag or a topic cannot be used, or ``out`` contains something else. All other
            bags are converted first, and nothing remains of the failed ones.
    """
    if not 0.1 <= rate_hz <= 100:
        raise AvdetError(f'rate: expected 0.1 to 100 frames a second, found {rate_hz:g}')
    names = drive_names(bags)
    splits = split_drives(list(names.values()))
    settings = {
        'topics': topics,
        'audio': audio,
        'rig': str(rig_path or ''),
        'rate_hz': rate_hz,
        'kelvin_per_count': kelvin_per_count,
        **({} if odometry is None else {'odometry': odometry}),
    }
    reports, ids = finished_drives(out, names, settings)
    failed: list[str] = []
    work = out / UNFINISHED
    try:
        for path, drive in names.items():
            if any(report.drive == drive for report in reports):
                continue
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            try:
                report, frames = _convert_drive(
                    path, work, drive, topics, audio, rig_path, rate_hz, kelvin_per_count, odometry
                )
            except AvdetError as error:
                failed.append(str(error))
                on_failure(path, error)
                continue
            report.split, report.settings = splits[drive], settings
            (work / drive).rename(out / drive)
            reports.append(report)
            ids.extend(frames)
            write_index(out, reports, ids, splits)
            on_drive(report)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if out.is_dir() and not any(out.iterdir()):
            out.rmdir()
    if failed:
        done = f'; the other {len(reports)} are in {out}' if reports else ''
        counts = f'{len(failed)} of {len(names)} bags could not be converted, the first: '
        raise AvdetError(f'{counts if len(names) > 1 else ""}{failed[0]}{done}')
    return reports


def drive_names(bags: Sequence[Path]) -> dict[Path, str]:
    """Return the name of each bag's drive, in the order of the bags.

    Raises:
        AvdetError: there are no bags, or two bags have the same name.
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
    """Assign each drive to exactly one split.

    Drives are ordered by the hashes of their names, so the split does not depend on when or where
    they were recorded. With two drives there is no test split, with one neither test nor
    validation.
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
    odometry: str | None,
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
        tree, report.pose = rig_tree(rig_path, camera, transforms)
        rig = parse_rig(tree, where=f'bag {path}')
        bag_motion = BagMotion(bag, audio, rig.frame_id, layout.CLIP_S, odometry)
        folder.mkdir(parents=True)
        scratch = folder / 'sound.part'
        try:
            sound = DriveSound(bag, audio, rig.sample_rate_hz, scratch)
            report.gaps = len(sound.gaps)
            report.lost_s = round(sum(lost for _, lost in sound.gaps) / rig.sample_rate_hz, 6)
            left_out = {kind: LeftOut(f'bag {path}: {name}') for kind, name in topics.items()}
            stamps = {
                kind: picture_stamps(bag, name, audio, sound, left_out[kind])
                for kind, name in topics.items()
            }
            frames = choose(stamps['rgb'], rate_hz)
            whole = [now for now in frames if sound.around(now, layout.CLIP_S) is not None]
            report.without_sound = len(frames) - len(whole)
            if not whole:
                raise AvdetError(
                    f'bag {path}: {topics["rgb"]}: expected pictures with a second of sound '
                    f'around them, found none: {_span(stamps["rgb"])} against '
                    f'{_span([sound.start_ns, sound.end_ns])} on {audio}'
                )
            ids = [layout.make_id(drive, now) for now in whole]
            size = rig.camera.width_px, rig.camera.height_px
            for kind in sorted(topics, key=lambda kind: kind != 'rgb'):
                name = topics[kind]
                if kind == 'rgb':
                    undistort = camera.undistort() if camera else lambda image: image
                    fit = exactly(undistort, size, f'bag {path}: {name}', camera is not None)
                else:
                    other, why = camera_model(bag, name)
                    fit, method = alignment(camera, other, transforms, size, why)
                    report.alignment[kind] = method
                frames_by_stamp = nearest(ids, stamps[kind], 0.0 if kind == 'rgb' else SYNC_S)
                if kind == 'thermal':
                    scale = _thermal_scale(bag, name, frames_by_stamp, kelvin_per_count)
                    report.thermal = scale.description
                    fit = partial(_scaled, scale, fit)
                written: set[layout.FrameId] = set()
                for frame, image in pictures(bag, name, frames_by_stamp, left_out[kind], fit):
                    write_picture(out, frame, kind, image, rig.camera.fx)
                    written.add(frame)
                if frames_by_stamp:
                    left_out[kind].check()
                if kind == 'rgb':  # a frame needs an RGB picture
                    ids = [frame for frame in ids if frame in written]
                report.missing[kind] = len(ids) - len(written)
            for frame in ids:
                clip = sound.around(frame.stamp_ns, layout.CLIP_S)
                assert clip is not None  # true of all frames in `whole`
                write_clip(out, frame, clip, rig)
            motion = drive_motion(bag_motion, sound.start_ns, sound.end_ns)
            if motion.odometry is not None:
                write_odometry(folder, motion.odometry)
            if truth := bag.find('truth', DETECTIONS):
                report.with_truth = write_truth(folder, ids, RecordedTruth(bag, truth))
        finally:
            scratch.unlink(missing_ok=True)
        report.frames = len(ids)
        report.missing = {kind: count for kind, count in report.missing.items() if count}
        report.bad = [entry.sentence for entry in left_out.values() if entry.sentence]
        report.motion = motion.sentence
        report.bad += [sentence] if (sentence := bag_motion.left_out.sentence) else []
        report.bad += [f'{audio}: {count} {defect}' for defect, count in sound.sound.notes.items()]
        report.partial = '; '.join(filter(None, (bag.partial, sound.note))) or None
    (folder / 'rig.yaml').write_text(yaml.safe_dump(tree, sort_keys=False), encoding='utf-8')
    facts = {
        'start_ns': sound.start_ns,
        'source': str(path),
        'topics': topics,
        'audio': audio,
        'partial': report.partial,
        **({} if motion.air_c is None else {'temperature_c': motion.air_c}),
    }
    (folder / 'parameters.json').write_text(json.dumps(facts, indent=2) + '\n', encoding='utf-8')
    (folder / layout.DONE).touch()
    return report, ids


def _thermal_scale(
    bag: Bag,
    topic: str,
    frames_by_stamp: dict[int, list[layout.FrameId]],
    kelvin_per_count: float | None,
) -> ThermalScale:
    stamps = [
        sorted(frames_by_stamp)[i] for i in evenly_spaced(len(frames_by_stamp), SCALE_PICTURES)
    ]
    chosen = {stamp: frames_by_stamp[stamp] for stamp in stamps}
    found = pictures(bag, topic, chosen, LeftOut(f'bag {bag.path}: {topic}'))
    return find_scale((image for _, image in found), kelvin_per_count)


def _scaled(
    scale: ThermalScale, fit: Callable[[np.ndarray], np.ndarray], image: np.ndarray
) -> np.ndarray:
    return fit(scale.apply(image))


def _span(stamps: Sequence[int]) -> str:
    return f'{stamps[0] * 1e-9:.3f} to {stamps[-1] * 1e-9:.3f} s'
