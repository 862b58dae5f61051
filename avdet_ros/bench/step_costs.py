"""Time each processing step of a window on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
import itertools
import os
from pathlib import Path
import platform
import time
from typing import Any, TypeVar

import numpy as np

from avdet_ros.audio.feature_stream import FeatureStream
from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.audio.microphone_pairs import EVERY_PAIR
from avdet_ros.audio.window import HOP_S, Window, WindowBuffer
from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.session import Detector
from avdet_ros.detection.steering import steering
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.on_simulation import window_ends
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.sources.simulated import DEMO_SEED
from avdet_ros.tracking import TRACKERS, make_tracker

T = TypeVar('T')


@dataclass(frozen=True)
class Cost:
    """Time of one step, milliseconds.

    Attributes:
        step: name of the step.
        p50: median.
        p99: 99th percentile.
        runs: number of repetitions.
        least_cpu: minimum processor time of the calling thread; a busy machine affects it least.
    """

    step: str
    p50: float
    p99: float
    runs: int
    least_cpu: float = 0.0


@dataclass(frozen=True)
class RendererSpeed:
    """Speed of the sound renderer.

    Attributes:
        seed: seed of the drive.
        vehicles: number of vehicles; those far away are silent.
        seconds: duration of the sound.
        factor: seconds of sound per second of work, in one process.
    """

    seed: int
    vehicles: int
    seconds: float
    factor: float


def measure(step: str, work: Callable[[], object], runs: int, warm_up: int = 2) -> Cost:
    """Measure a step repeatedly."""
    for _ in range(warm_up):
        work()
    times, cpu = np.empty(runs), np.empty(runs)
    for index in range(runs):
        start, used = time.perf_counter(), time.thread_time()
        work()
        times[index] = 1e3 * (time.perf_counter() - start)
        cpu[index] = 1e3 * (time.thread_time() - used)
    p50, p99 = np.percentile(times, [50, 99])
    return Cost(step, float(p50), float(p99), runs, float(cpu.min()))


def renderer_speed(rig: Rig, seed: int = DEMO_SEED, seconds: float = 10.0) -> RendererSpeed:
    """Measure how long rendering a drive takes, without compilation."""
    from avdet_ros.simulation.sound import render_sound
    from avdet_ros.simulation.traffic import random_scene

    scene = random_scene(seed, rig, seconds)
    render_sound(scene, 0.0, 0.2)
    start = time.perf_counter()
    render_sound(scene, 0.0, seconds)
    taken_s = time.perf_counter() - start
    return RendererSpeed(seed, len(scene.vehicles), seconds, seconds / taken_s)


def window_costs(model: Path, rig: Rig, runs: int, threads: int | None) -> list[Cost]:
    """Measure each step of a window, on a rendered drive.

    Args:
        model: ONNX file.
        rig: the rig.
        runs: repetitions of each step.
        threads: threads per inference.
    """
    from avdet_ros.simulation.sound import render_sound
    from avdet_ros.simulation.traffic import random_scene

    detector = Detector(model, rig, threads=threads)
    front_end = detector.front_end
    seconds = front_end.window_s + 2.0
    scene = random_scene(DEMO_SEED, rig, seconds)
    sound = render_sound(scene, 0.0, seconds)
    ends = window_ends(seconds, 10, front_end)
    windows = [
        np.ascontiguousarray(sound[:, end - front_end.samples : end], np.float32) for end in ends
    ]
    spectrograms = [front_end.compute(window) for window in windows]
    found = [detector.detect(spectrogram) for spectrogram in spectrograms]

    def in_turn(function: Callable[[T], object], items: list[T]) -> Callable[[], object]:
        state = {'next': 0}

        def work() -> object:
            state['next'] += 1
            return function(items[state['next'] % len(items)])

        return work

    costs = [
        measure('features', in_turn(front_end.compute, windows), runs),
        *(
            measure(f'features, one window after the other at {rate_hz} Hz', work, runs)
            for rate_hz, work in (
                (rate_hz, _stream_of_features(sound, front_end, rate_hz)) for rate_hz in (10, 20)
            )
        ),
        measure(f'inference, {detector.provider}', in_turn(detector.detect, spectrograms), runs),
    ]
    for name in TRACKERS.names():
        costs.append(measure(f'tracker {name}', in_turn(_following(name), found), runs))
    return costs + message_costs(spectrograms[0], found[0].boxes_px, found[0].scores, runs)


def _following(tracker_name: str) -> Callable[[Detections], object]:
    """Return a tracker update for one window's detections after another, at the usual hop."""
    tracker, clock = make_tracker(tracker_name), iter(np.arange(0, 1e6, HOP_S))

    def follow(detections: Detections) -> object:
        return tracker.update(float(next(clock)), detections)

    return follow


def model_costs(
    models: Sequence[Path], rig: Rig, runs: int, threads: Sequence[int] = (1, 2)
) -> list[Cost]:
    """Measure inference of several model files on the CPU, and steering if a model has it.

    Args:
        models: ONNX files; files that do not fit the rig are left out.
        rig: the rig.
        runs: repetitions.
        threads: threads per inference, one row each.
    """
    front_end = FrontEnd.of(rig, len(EVERY_PAIR))  # models with fewer pairs select theirs
    shape = len(front_end.feature_names), front_end.n_mels, front_end.frames
    level = np.random.default_rng(1).normal(-60, 10, shape).astype(np.float32)
    level[MICROPHONES:] = np.random.default_rng(2).uniform(-1, 1, level[MICROPHONES:].shape)
    costs, steered = [], None
    for model in models:
        for count in threads:
            try:
                detector = Detector(model, rig, front_end, ['cpu'], count)
            except AvdetError:
                break
            name = f'inference, {model.name}, {count} thread{"s" if count > 1 else ""}'
            costs.append(measure(name, partial(detector.detect, level), runs))
            steered = detector if detector.steered else steered
    if steered is not None:
        azimuths = steered.contract.azimuths_deg
        steered_by = FrontEnd.of(rig, steered.contract.pair_count)
        speeds = itertools.cycle(range(1, 40))

        def steer() -> object:
            return steering(rig, steered_by, azimuths, float(next(speeds)))

        costs.append(measure('steering for another speed', steer, min(runs, 50)))
    return costs


def _stream_of_features(
    sound: np.ndarray, front_end: FrontEnd, rate_hz: float
) -> Callable[[], object]:
    """Return a function that computes the next window's features, as node capture does."""
    buffer = WindowBuffer(
        MICROPHONES, front_end.sample_rate_hz, hop_s=1 / rate_hz, grid_samples=front_end.hop_length
    )
    stream = FeatureStream(front_end)
    block = np.ascontiguousarray(sound.T, np.float32)

    def windows() -> Iterator[Window]:
        for turn in itertools.count():
            yield from buffer.push(block, turn * len(block))

    coming = windows()
    return lambda: stream.compute(next(coming))


def message_costs(
    spectrogram: np.ndarray, boxes_px: np.ndarray, scores: np.ndarray, runs: int
) -> list[Cost]:
    """Measure building and serialising messages; empty if ROS is not installed."""
    try:
        from avdet_ros.messages.decode import decode_spectrogram
        from avdet_ros.messages.encode import encode_detections, encode_header, encode_spectrogram
    except ImportError:
        return []
    head = encode_header(1_700_000_000_000_000_000, 'frame')
    # Memory layout as in capture; pooled as in the first layer of both shipped models.
    sent = np.ascontiguousarray(spectrogram.transpose(1, 2, 0)).transpose(2, 0, 1)
    pooled = np.ascontiguousarray(pool_frames(sent).transpose(1, 2, 0)).transpose(2, 0, 1)
    costs = [measure('spectrogram pooled by 4 frames', lambda: pool_frames(sent), runs)]
    for name, features in (('spectrogram', sent), ('pooled spectrogram', pooled)):
        make = partial(encode_spectrogram, head, features)
        costs += _message_costs(f'{name} message', make, runs)
        decode = partial(decode_spectrogram, make(), name)
        costs.append(measure(f'{name} message, decoded', decode, runs))
    make_detections = partial(encode_detections, head, boxes_px, scores)
    return costs + _message_costs('detections message', make_detections, runs)


def _message_costs(name: str, make: Callable[[], Any], runs: int) -> list[Cost]:
    from rclpy.serialization import serialize_message

    serialise = partial(serialize_message, make())
    return [
        measure(f'{name}, built', make, runs),
        measure(f'{name}, serialised', serialise, runs),
    ]


def machine() -> dict[str, object]:
    """Describe the machine of the measurement."""
    return {
        'processor': platform.processor() or platform.machine(),
        'cores': os.cpu_count(),
        'load': os.getloadavg()[0] if hasattr(os, 'getloadavg') else None,
        'python': platform.python_version(),
        'system': platform.platform(),
    }
