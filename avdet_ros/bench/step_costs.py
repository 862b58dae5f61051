"""What each step of a window costs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import os
from pathlib import Path
import platform
import time

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.session import Detector
from avdet_ros.evaluation.on_simulation import window_ends
from avdet_ros.rig import Rig
from avdet_ros.sources.simulated import DEMO_SEED
from avdet_ros.tracking import TRACKERS, make_tracker


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one step.

    Attributes:
        step: its name.
        p50: median.
        p99: 99th percentile.
        runs: number of repetitions.
    """

    step: str
    p50: float
    p99: float
    runs: int


@dataclass(frozen=True)
class RendererSpeed:
    """How fast sound is rendered.

    Attributes:
        seed: of the drive.
        vehicles: in it; those far away are silent.
        seconds: of sound.
        factor: seconds of sound a second of work, one process.
    """

    seed: int
    vehicles: int
    seconds: float
    factor: float


def measure(step: str, work: Callable[[], object], runs: int, warm_up: int = 2) -> Cost:
    """Time a step."""
    for _ in range(warm_up):
        work()
    times = np.empty(runs)
    for index in range(runs):
        start = time.perf_counter()
        work()
        times[index] = 1e3 * (time.perf_counter() - start)
    return Cost(step, float(np.median(times)), float(np.percentile(times, 99)), runs)


def renderer_speed(rig: Rig, seed: int = DEMO_SEED, seconds: float = 10.0) -> RendererSpeed:
    """Render a drive and measure how long it takes, without compilation."""
    from avdet_ros.simulation.sound import render_sound
    from avdet_ros.simulation.traffic import random_scene

    scene = random_scene(seed, rig, seconds)
    render_sound(scene, 0.0, 0.2)
    start = time.perf_counter()
    render_sound(scene, 0.0, seconds)
    taken_s = time.perf_counter() - start
    return RendererSpeed(seed, len(scene.vehicles), seconds, seconds / taken_s)


def window_costs(model: Path, rig: Rig, runs: int, threads: int | None) -> list[Cost]:
    """Cost of each step of a window, on a rendered drive.

    Args:
        model: ONNX file.
        rig: the rig.
        runs: repetitions of each step.
        threads: of one inference.
    """
    from avdet_ros.simulation.sound import render_sound
    from avdet_ros.simulation.traffic import random_scene

    front_end = FrontEnd.of(rig)
    detector = Detector(model, rig, front_end, threads=threads)
    seconds = front_end.window_s + 2.0
    scene = random_scene(DEMO_SEED, rig, seconds)
    sound = render_sound(scene, 0.0, seconds)
    ends = window_ends(seconds, 10, front_end)
    windows = [
        np.ascontiguousarray(sound[:, end - front_end.samples : end], np.float32) for end in ends
    ]
    spectrograms = [front_end.compute(window) for window in windows]
    found = [detector.detect(spectrogram) for spectrogram in spectrograms]

    def in_turn(function: Callable, items: list) -> Callable[[], object]:
        state = {'next': 0}

        def work() -> object:
            state['next'] += 1
            return function(items[state['next'] % len(items)])

        return work

    costs = [
        measure('features', in_turn(front_end.compute, windows), runs),
        measure(f'inference, {detector.provider}', in_turn(detector.detect, spectrograms), runs),
    ]
    for name in TRACKERS.names():
        tracker, clock = make_tracker(name), iter(np.arange(0, 1e6, 0.1))

        def follow(detections: object, tracker=tracker, clock=clock) -> object:
            return tracker.update(float(next(clock)), detections)

        costs.append(measure(f'tracker {name}', in_turn(follow, found), runs))
    return costs + message_costs(spectrograms[0], found[0].boxes_px, found[0].scores, runs)


def message_costs(
    spectrogram: np.ndarray, boxes_px: np.ndarray, scores: np.ndarray, runs: int
) -> list[Cost]:
    """Cost of building and serialising messages; empty where ROS is not installed."""
    try:
        from rclpy.serialization import serialize_message

        from avdet_ros.messages.encode import encode_detections, encode_header, encode_spectrogram
    except ImportError:
        return []
    head = encode_header(1_700_000_000_000_000_000, 'frame')
    makers = {
        'spectrogram message': lambda: encode_spectrogram(head, spectrogram),
        'detections message': lambda: encode_detections(head, boxes_px, scores),
    }
    costs = []
    for name, make in makers.items():
        message = make()
        costs.append(measure(f'{name}, built', make, runs))
        costs.append(
            measure(
                f'{name}, serialised', lambda message=message: serialize_message(message), runs
            )
        )
    return costs


def machine() -> dict[str, object]:
    """The machine that the numbers were measured on."""
    return {
        'processor': platform.processor() or platform.machine(),
        'cores': os.cpu_count(),
        'load': os.getloadavg()[0] if hasattr(os, 'getloadavg') else None,
        'python': platform.python_version(),
        'system': platform.platform(),
    }
