"""Read ordinary driving for the self-calibration: wave fronts from bags, drives and sound files.

Two more kinds of data are read where recorded: the vehicle's speed (from odometry, or zero for a
simulated vehicle that stood) and vehicles seen by a camera (true boxes or a topic of camera
detections). Boxes detected from sound are never used: they would only confirm the assumed array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.audio.array_yaw import Sightings, box_sightings
from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.sound_rate import other_rate
from avdet_ros.audio.wave_fronts import WaveFrontFinder, WaveFronts, aperture
from avdet_ros.bags.input_selection import select_input
from avdet_ros.bags.left_out import whole_messages
from avdet_ros.bags.reader import Bag
from avdet_ros.bags.sound_blocks import BagSound
from avdet_ros.dataset import layout
from avdet_ros.dataset.odometry import read_odometry
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import DETECTIONS, ODOMETRY, decode_detections, stamp_ns
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.sources.file import FileSource, say_what_is_missing

_logger = logging.getLogger(__name__)

TWIST = 'geometry_msgs/msg/TwistStamped'
LONGEST_STEP_S = 1.0
"""Longest time for which a recorded speed is valid, seconds."""

LEAST_VISIBLE = 0.5
"""Minimum visible fraction of a true box."""

LONGEST_GAP_S = 60.0


@dataclass(frozen=True)
class Driving:
    """One recording, or several joined in sequence.

    Attributes:
        fronts: its wave fronts.
        sightings: vehicles seen by a camera; None if none are recorded.
        speeds_mps: (S,) speed of the vehicle at each segment, nan where unknown.
    """

    fronts: WaveFronts
    sightings: Sightings | None
    speeds_mps: np.ndarray


def drive_rig(path: Path) -> Path | None:
    """Return the rig file next to a recorded drive's sound, or None."""
    rig_path = path / 'rig.yaml'
    return rig_path if rig_path.is_file() else None


def read_driving(
    paths: Sequence[Path],
    rig: Rig,
    speed_mps: float | None = None,
    seen_topic: str | None = None,
    progress: Progress = SILENT,
) -> Driving:
    """Read recordings of one array.

    Args:
        paths: bags, drives as `avdet sim drives` writes them, or sound files of eight channels.
        rig: describes the array; the sound is in the order of its microphones.
        speed_mps: speed of the vehicle in all recordings; None uses the recorded one, if any.
        seen_topic: topic of camera detections in bags, with an identity for each vehicle; None
            uses ``truth`` if recorded.
        progress: shows the seconds read.

    Raises:
        AvdetError: a recording cannot be used.
    """
    parts = []
    for path in paths:
        with progress.step(path.name) as advance:
            if (path / layout.DRIVE_SOUND).is_file():
                part = _drive(path, rig, advance)
            elif path.is_dir() or path.suffix in ('.mcap', '.db3'):
                part = _bag(path, rig, seen_topic, advance)
            else:
                fronts = _file_fronts(path, rig, advance)
                part = Driving(fronts, None, np.full(len(fronts.time_s), np.nan))
        parts.append(part)
    joined = join(parts)
    if speed_mps is None:
        return joined
    return Driving(joined.fronts, joined.sightings, np.full(len(joined.fronts.time_s), speed_mps))


def join(parts: Sequence[Driving]) -> Driving:
    """Join recordings of one array in sequence."""
    starts_s = np.cumsum([0.0, *(part.fronts.seconds for part in parts)])
    seen = [
        (
            part.sightings.time_s + start,
            part.sightings.azimuths,
            part.sightings.distances_m,
            part.sightings.ids,
            index,
        )
        for index, (part, start) in enumerate(zip(parts, starts_s, strict=False))
        if part.sightings is not None
    ]
    joined = None
    if seen:
        joined = Sightings(
            np.concatenate([entry[0] for entry in seen]),
            np.concatenate([entry[1] for entry in seen]),
            np.concatenate([entry[2] for entry in seen]),
            np.concatenate([entry[3] + 1_000_000 * entry[4] for entry in seen]),
        )
    return Driving(
        WaveFronts.joined([part.fronts for part in parts]),
        joined,
        np.concatenate([part.speeds_mps for part in parts]),
    )


def _finder(rig: Rig) -> WaveFrontFinder:
    return WaveFrontFinder(rig.sample_rate_hz, aperture(rig.microphones_m))


def _file_fronts(path: Path, rig: Rig, advance: Any) -> WaveFronts:
    finder = _finder(rig)
    for samples in _blocks(path, rig.sample_rate_hz):
        finder.add(samples)
        advance(1)
    return finder.fronts()


def _blocks(path: Path, rate_hz: int) -> Iterator[np.ndarray]:
    """Yield a sound file in pieces of about a second."""
    source = FileSource(path, rate_hz, paced=False)
    source.start()
    try:
        waiting: list[np.ndarray] = []
        while (block := source.read(1.0)) is not None:
            if block.lost:
                waiting.append(np.zeros((block.lost, block.samples.shape[1]), 'i2'))
            waiting.append(block.samples)
            if sum(map(len, waiting)) >= rate_hz:
                yield np.concatenate(waiting)
                waiting = []
        if waiting:
            yield np.concatenate(waiting)
        say_what_is_missing(source)
    finally:
        source.stop()


def _drive(folder: Path, rig: Rig, advance: Any) -> Driving:
    """Read a drive written by `avdet sim drives` or `avdet bag to-dataset`."""
    fronts = _file_fronts(folder / layout.DRIVE_SOUND, rig, advance)
    speeds_mps = _drive_speeds(folder, fronts.time_s)
    if not (folder / 'truth' / 'frames.jsonl').is_file():
        return Driving(fronts, None, speeds_mps)
    times, boxes, ids = [], [], []
    for line in layout.read_truth(folder.parent, folder.name).values():
        for box, name, visible in zip(
            line['boxes_px'], line['ids'], line['visible_fraction'], strict=True
        ):
            if visible is None or visible >= LEAST_VISIBLE:
                times.append(float(line['time_s']))
                boxes.append(box)
                ids.append(int(name))
    sightings = box_sightings(rig, np.array(times), np.array(boxes), np.array(ids, int))
    return Driving(fronts, sightings, speeds_mps)


def _drive_speeds(folder: Path, time_s: np.ndarray) -> np.ndarray:
    """(S,) speeds from the drive's odometry; 0 if the vehicle stood, nan where unknown."""
    path = read_odometry(folder)
    if path is not None:
        start_ns = int(layout.read_parameters(folder)['start_ns'])
        return path.ahead_at(start_ns + np.round(time_s * 1e9).astype(np.int64))
    parameters = (folder / 'parameters.json').is_file() and layout.read_parameters(folder)
    return np.full(len(time_s), 0.0 if parameters and parameters.get('static') else np.nan)


def _bag(path: Path, rig: Rig, seen_topic: str | None, advance: Any) -> Driving:
    with Bag(path) as bag:
        selection = select_input(bag, FrontEnd.of(rig), 0.0)
        if not selection.raw:
            raise AvdetError(
                f'bag {bag.path}: expected raw sound to calibrate from, found only spectrograms'
            )
        finder, begin_ns = _finder(rig), None
        sound = BagSound(bag, selection.topic, rig.sample_rate_hz)
        for taken, (place, block) in enumerate(sound.blocks()):
            if place.restarted and taken == 1:  # a single block with a stray stamp
                finder, begin_ns = _finder(rig), None
            elif place.restarted:
                _logger.info('%s: stamps go elsewhere, the rest is left', sound.where)
                break
            if place.lost > LONGEST_GAP_S * rig.sample_rate_hz:
                raise AvdetError(
                    f'bag {bag.path}: {selection.topic}: expected gaps of at most '
                    f'{LONGEST_GAP_S:.0f} s, found {place.lost / rig.sample_rate_hz:.0f} s'
                )
            if place.lost:
                finder.skip(place.lost)
            begin_ns = place.stamp_ns if begin_ns is None else begin_ns
            finder.add(block.samples)
            advance(1)
        if sound.other_hz is not None:
            raise AvdetError(other_rate(sound.where, sound.other_hz, rig.sample_rate_hz))
        fronts = finder.fronts()
        begin_ns = begin_ns or 0
        speeds_mps = _bag_speeds(bag, begin_ns, fronts.time_s)
        return Driving(fronts, _bag_sightings(bag, rig, seen_topic, begin_ns), speeds_mps)


def _bag_speeds(bag: Bag, begin_ns: int, time_s: np.ndarray) -> np.ndarray:
    """(S,) speeds from the first topic of odometry or stamped twist; nan where unknown."""
    topic = next((t.name for t in bag.topics.values() if t.msgtype in (ODOMETRY, TWIST)), None)
    if topic is None:
        return np.full(len(time_s), np.nan)
    found = []
    odometry = bag.topics[topic].msgtype == ODOMETRY
    for decoded in whole_messages(bag, topic):
        twist = decoded.twist.twist if odometry else decoded.twist
        found.append((stamp_ns(decoded) * 1e-9, float(twist.linear.x)))
    found = [(t, v) for t, v in sorted(found) if np.isfinite(v)]
    if not found:
        return np.full(len(time_s), np.nan)
    times, speeds = np.array(found).T
    segment_s = begin_ns * 1e-9 + time_s
    near = np.abs(times[np.searchsorted(times, segment_s).clip(0, len(times) - 1)] - segment_s)
    speeds_mps = np.interp(segment_s, times, speeds)
    return np.where(near <= LONGEST_STEP_S, speeds_mps, np.nan)


def _bag_sightings(bag: Bag, rig: Rig, seen_topic: str | None, begin_ns: int) -> Sightings | None:
    """Return the camera detections that have an identity."""
    topic = seen_topic or bag.find('truth', DETECTIONS)
    if topic is None:
        return None
    times, boxes, ids = [], [], []
    numbers: dict[str, int] = {}
    for decoded in whole_messages(bag, bag.require(topic, DETECTIONS).name):
        found, names = decode_detections(decoded)
        for name, box in zip(names, found.boxes_px, strict=True):
            if name:
                times.append((stamp_ns(decoded) - begin_ns) * 1e-9)
                boxes.append(box)
                ids.append(numbers.setdefault(name, len(numbers)))
    return box_sightings(rig, np.array(times), np.array(boxes), np.array(ids, int))
