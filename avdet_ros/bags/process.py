"""Run the chain from sound to tracks over a bag, without ROS and as fast as the machine can.

Windows lie on the same grid as the live chain's and pass through the same code, so the results
are those of the drive itself. Each inference uses one thread, and several windows are processed
in parallel; their number does not change a single bit of the results.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from avdet_ros.audio.feature_stream import FeatureStream
from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.sound_rate import other_rate
from avdet_ros.audio.window import Window, WindowBuffer
from avdet_ros.bags.array_motion import BagMotion
from avdet_ros.bags.input_selection import InputSelection, select_input
from avdet_ros.bags.left_out import LeftOut
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.bags.sound_blocks import BagSound
from avdet_ros.bags.writer import BagWriter
from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.moving_steering import USUAL_AIR_C
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.fields import find
from avdet_ros.messages.decode import DETECTIONS, decode_spectrogram, stamp_ns
from avdet_ros.messages.encode_offline import make_detections, make_header, make_tracks
from avdet_ros.messages.typestore import serialize
from avdet_ros.parameters import DETECTOR
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.tracking.track import Track, Tracker

# Limits on published boxes: the defaults of the live detector's parameters.
MIN_SCORE: Any = find(DETECTOR, 'min_score').default
MAX_DETECTIONS: Any = find(DETECTOR, 'max_detections').default
RESULTS = 'results.mcap'
_SUMMARY = 'summary.json'

S = TypeVar('S')
T = TypeVar('T')


@dataclass
class Report:
    """Counts and problems of processing a bag.

    Attributes:
        source: topic of the sound or the spectrograms.
        windows: number of windows processed.
        boxes: number of boxes detected.
        sound_s: seconds of sound or of windows.
        lost_samples: samples missing between blocks.
        windows_with_gaps: windows left out because samples were missing, as in the live chain.
        skipped_windows: windows without a single sample.
        restarts: number of restarts because the stamps jumped.
        bad: counts of defects that were left out or repaired, by description.
        left_out: None, or one sentence about unusable messages.
        odometry: topic of the own speed, for a model for any array; None if there is none or the
            model does not use it.
        windows_with_speed: windows with a known own speed; the others assume a standing array.
        odometry_left_out: like `left_out`, for odometry and temperature.
        partial: None, or why the results do not cover the whole drive.
    """

    source: str
    windows: int = 0
    boxes: int = 0
    sound_s: float = 0.0
    lost_samples: int = 0
    windows_with_gaps: int = 0
    skipped_windows: int = 0
    restarts: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    left_out: str | None = None
    odometry: str | None = None
    windows_with_speed: int = 0
    odometry_left_out: str | None = None
    partial: str | None = None


@dataclass(frozen=True)
class WindowResult:
    """One window's results.

    Attributes:
        window_end_ns: stamp of the window, i.e. its end.
        stamp_ns: instant for which the boxes are valid.
        detections: boxes and scores.
        tracks: boxes and scores with identities.
    """

    window_end_ns: int
    stamp_ns: int
    detections: Detections
    tracks: list[Track]


def process_windows(
    bag: Bag,
    selection: InputSelection,
    front_end: FrontEnd,
    detector: Detector,
    tracker: Tracker,
    report: Report,
    motion: BagMotion | None = None,
) -> Iterator[WindowResult]:
    """Run front end, detector and tracker over a bag, in order.

    Args:
        bag: the recording.
        selection: result of `select_input`.
        front_end: computes the features.
        detector: created with ``threads=1``, so that results do not depend on the machine's cores.
        tracker: a new tracker.
        report: updated with each result.
        motion: speed and air temperature of each window; None for a standing array in usual air.

    Raises:
        AvdetError: a later message differs in kind from the topic's first one.
    """
    if selection.raw:
        pieces = _computed(bag, selection, front_end, report)
    else:
        pieces = _spectrograms(bag, selection, report)
    offset_ns = round(detector.contract.label_offset_s * 1e9)

    def work(piece: tuple[int, np.ndarray, tuple[float, float]]) -> tuple[int, Detections]:
        end_ns, features, moving = piece
        found = detector.detect(features, False, *moving)
        return end_ns, found.best(MIN_SCORE, MAX_DETECTIONS)

    def moving_pieces() -> Iterator[tuple[int, np.ndarray, tuple[float, float]]]:
        for end_ns, features in pieces:
            yield end_ns, features, (0.0, USUAL_AIR_C) if motion is None else motion.at(end_ns)

    for end_ns, found in _in_order(work, moving_pieces()):
        report.windows += 1
        report.boxes += len(found)
        instant_ns = end_ns + offset_ns
        yield WindowResult(end_ns, instant_ns, found, tracker.update(instant_ns * 1e-9, found))


def process_bag(
    bag_path: Path,
    out: Path,
    rig: Rig,
    front_end: FrontEnd,
    detector: Detector,
    tracker: Tracker,
    topic: str | None = None,
    hop_s: float | None = None,
    odometry: str | None = None,
    air_c: float = USUAL_AIR_C,
) -> Report:
    """Process a bag and write detections and tracks as a bag with a ``summary.json``.

    The same bag and model give the same bytes. After an error half way, the results so far are
    kept and marked partial in the summary.

    Args:
        bag_path: the recording.
        out: folder to create.
        rig: provides the frame ids.
        front_end: computes the features.
        detector: finds boxes.
        tracker: a new tracker.
        topic: see `select_input`.
        hop_s: see `select_input`.
        odometry: topic of the speed for a model for any array, '' for none; None looks for
            ``odom``.
        air_c: air temperature if the bag contains none.

    Raises:
        AvdetError: the bag cannot be used, or ``out`` exists already.
    """
    with Bag(bag_path) as bag:
        offset_s = detector.contract.label_offset_s
        selection = select_input(bag, front_end, offset_s, topic, hop_s)
        report = Report(selection.topic, partial=bag.partial)
        motion = None
        if detector.steered:
            window_s = front_end.window_s
            motion = BagMotion(bag, selection.topic, rig.frame_id, window_s, odometry, air_c)
            report.odometry = motion.topic
        namespace = selection.topic.rsplit('/', 1)[0]
        with BagWriter(out, file_name=RESULTS) as writer:
            try:
                for result in process_windows(
                    bag, selection, front_end, detector, tracker, report, motion
                ):
                    header = make_header(result.stamp_ns, rig.camera.frame_id)
                    for name, message in (
                        ('detections', make_detections(header, result.detections, rig=rig)),
                        ('tracks', make_tracks(header, result.tracks)),
                    ):
                        data = serialize(message)
                        writer.write(f'{namespace}/{name}', DETECTIONS, data, result.window_end_ns)
                report.partial = bag.partial
            except AvdetError as error:
                report.partial = str(error)
                raise
            finally:
                if motion is not None:
                    report.windows_with_speed = motion.windows_with_speed
                    report.odometry_left_out = motion.left_out.sentence
                _write_summary(out, report, detector)
        if not report.windows and not report.partial:
            report.partial = (
                f'bag {bag.path}: {selection.topic}: expected at least one window of '
                f'{front_end.window_s:g} s, found {report.sound_s:.2f} s of sound'
            )
            _write_summary(out, report, detector)
    return report


def _write_summary(out: Path, report: Report, detector: Detector) -> None:
    facts = {'model_sha256': detector.sha256, 'provider': detector.provider, **vars(report)}
    text = json.dumps(facts, indent=2, sort_keys=True)
    (out / _SUMMARY).write_text(text + '\n', encoding='utf-8')


def spectrograms(
    bag: Bag, selection: InputSelection, front_end: FrontEnd, report: Report
) -> Iterator[tuple[int, np.ndarray]]:
    """Return an iterator over the windows of a bag, as input for a detector.

    Args:
        bag: the recording.
        selection: result of `select_input`.
        front_end: computes the features of raw sound.
        report: updated with each window.

    Returns:
        Each window's end in nanoseconds and its (channels, n_mels, frames) features.
    """
    if selection.raw:
        return _computed(bag, selection, front_end, report)
    return _spectrograms(bag, selection, report)


def _computed(
    bag: Bag, selection: InputSelection, front_end: FrontEnd, report: Report
) -> Iterator[tuple[int, np.ndarray]]:
    """Compute the features of the sound as the capture node does."""
    features = FeatureStream(front_end)
    for end_ns, window in _windows(bag, selection, front_end, report):
        yield end_ns, features.compute(window)


def _windows(
    bag: Bag, selection: InputSelection, front_end: FrontEnd, report: Report
) -> Iterator[tuple[int, Window]]:
    rate_hz = front_end.sample_rate_hz
    buffer = WindowBuffer(
        MICROPHONES,
        rate_hz,
        front_end.window_s,
        selection.hop_s,
        selection.grid_samples,
        selection.phase,
    )
    sound = BagSound(bag, selection.topic, rate_hz)
    to_skip = selection.skip_samples
    try:
        for place, block in sound.blocks():
            report.restarts += place.restarted
            report.lost_samples += place.lost
            report.sound_s = round(report.sound_s + len(block) / rate_hz, 9)
            first = place.first_sample
            cut = min(max(to_skip - first, 0), len(block)) if not report.restarts else 0
            if cut == len(block):
                continue
            for window in buffer.push(block.samples[cut:], first + cut):
                if window.gap_samples:
                    report.windows_with_gaps += 1
                    continue
                yield place.time_ns(window.end_sample), window
            report.skipped_windows = buffer.skipped_windows
        if sound.other_hz is not None:
            after = f'{sound.where}: after {report.sound_s:.1f} s'
            raise AvdetError(other_rate(after, sound.other_hz, rate_hz))
    finally:
        report.bad, report.left_out = sound.notes, sound.left_out.sentence


def _spectrograms(
    bag: Bag, selection: InputSelection, report: Report
) -> Iterator[tuple[int, np.ndarray]]:
    where = f'bag {bag.path}: {selection.topic}'
    before = None
    left_out = LeftOut(where)
    shape: tuple[int, ...] | None = None
    for message in bag.messages([selection.topic]):
        try:
            decoded = decode(message)
            now, features = stamp_ns(decoded), decode_spectrogram(decoded, where)
            shape = shape or features.shape
            if features.shape != shape or not np.isfinite(features).all():
                raise AvdetError(
                    f'{where}: expected finite numbers of shape {shape}, '
                    f'found shape {features.shape} at {now} ns'
                )
            if now <= 0:
                raise AvdetError(f'{where}: expected stamps in the headers, found {now}')
        except AvdetError as error:
            left_out.add(error)
            report.bad = {'messages that are not spectrograms': left_out.bad}
            report.left_out = left_out.sentence
            continue
        left_out.good += 1
        if before is not None:
            report.restarts += now < before
            report.sound_s = round(report.sound_s + max(now - before, 0) * 1e-9, 9)
        before = now
        yield now, features
    left_out.check()


def _in_order(work: Callable[[S], T], pieces: Iterable[S]) -> Iterator[T]:
    """Process several pieces in parallel and yield the results in order."""
    workers = min(os.cpu_count() or 1, 8)
    waiting: deque[Future[T]] = deque()
    failure = None
    coming = iter(pieces)
    with ThreadPoolExecutor(workers) as pool:
        while failure is None:
            try:
                waiting.append(pool.submit(work, next(coming)))
            except StopIteration:
                break
            except AvdetError as error:  # everything before the damage is still valid
                failure = error
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    if failure is not None:
        raise failure
