"""Benchmark of reading a data set: sound to features, batches, teachers' pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
import json
from pathlib import Path
import tempfile
import time

import cv2
import numpy as np
import soundfile

from avdet_ros.audio.features import FrontEnd
from avdet_ros.dataset import layout
from avdet_ros.dataset.features import write_features
from avdet_ros.dataset.labels import DriveLabels, write_labels
from avdet_ros.rig import Rig
from avdet_ros.training.data.drives import drive_windows
from avdet_ros.training.data.labelled_frames import FrameSet, LabelledFrame
from avdet_ros.training.data.windows import loader

TEACHERS = ('rgb', 'depth', 'thermal')
PAPER_SIZE = (768, 768)
START_NS = 1_700_000_000_000_000_000

LEVELS = [(side, side) for side in (96, 48, 24, 12, 6)]
"""P3 to P7 of the paper's teachers."""

CHANNELS = 112
"""Channels of EfficientDet-D2's pyramid."""


@dataclass(frozen=True)
class Rate:
    """Reading speed of one process.

    Attributes:
        what: description of what is read.
        frames_per_minute: frames of a data set per minute.
    """

    what: str
    frames_per_minute: float


def loading_rates(rig: Rig, count: int = 40) -> list[Rate]:
    """Time each way in which training reads data, on a noise drive with frames of MAVD's size.

    Args:
        rig: microphones and camera.
        count: frames of the drive.
    """
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        frames = _write_drive(root, rig, count, rng)
        _write_labels(root, frames, rng)
        front_end = FrontEnd.of(rig)

        def compute(kind: str) -> None:
            write_features(root, frames[0].drive, frames, kind, front_end)

        compute('window')
        size = (rig.camera.width_px, rig.camera.height_px)
        windows = drive_windows(
            root, frames, 'window', size, 'teachers', teachers=TEACHERS, needs=('attention',)
        )
        batches = loader(windows, 32, levels=3)
        pictures = [
            LabelledFrame(layout.picture_path(root, frame, 'rgb'), np.zeros((0, 4), np.float32))
            for frame in frames
        ]
        seen = FrameSet(pictures, 'rgb', PAPER_SIZE, flip=True)
        ways: dict[str, Callable[[], object]] = {
            'sound to features, compact students': partial(compute, 'window'),
            "sound to features, the paper's student": partial(compute, 'log_mel'),
            'batches: features, boxes, maps of three teachers': lambda: sum(1 for _ in batches),
            "a teacher's pictures, 768 x 768": lambda: [seen[place] for place in range(count)],
        }
        return [Rate(what, 60 * count / _seconds(read)) for what, read in ways.items()]


def _seconds(read: Callable[[], object]) -> float:
    """Time the faster of two passes, as the first one may read uncached files."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        read()
        times.append(time.perf_counter() - start)
    return min(times)


def _write_drive(
    root: Path, rig: Rig, count: int, rng: np.random.Generator
) -> list[layout.FrameId]:
    """Write a drive of noise: frames half a second apart with sound and grainy pictures."""
    name = 'drive_day_1'
    (root / name / 'fl_rgb').mkdir(parents=True)
    samples = round((0.5 * count + 1) * rig.sample_rate_hz)
    sound = (0.05 * rng.normal(size=(samples, 8))).astype(np.float32)
    soundfile.write(root / name / layout.DRIVE_SOUND, sound, rig.sample_rate_hz, subtype='PCM_16')
    (root / name / 'parameters.json').write_text(json.dumps({'start_ns': START_NS}))
    coarse = rng.normal(110, 30, (rig.camera.height_px // 4, rig.camera.width_px // 4, 3))
    picture = cv2.resize(coarse, (rig.camera.width_px, rig.camera.height_px))
    picture = (picture + rng.normal(0, 6, picture.shape)).clip(0, 255).astype(np.uint8)
    frames = []
    for index in range(count):
        frame = layout.make_id(name, START_NS + int((0.5 + 0.5 * index) * 1e9))
        cv2.imwrite(str(layout.picture_path(root, frame, 'rgb', '.jpg')), picture)
        frames.append(frame)
    return frames


def _write_labels(root: Path, frames: list[layout.FrameId], rng: np.random.Generator) -> None:
    """Write labels as three of the paper's teachers would: a box per frame, maps, features."""
    count, cells = len(frames), sum(height * width for height, width in LEVELS)
    teachers = len(TEACHERS)
    write_labels(
        root / 'labels' / f'{frames[0].drive}.npz',
        DriveLabels(
            ids=np.array([frame.stamp for frame in frames]),
            teachers=TEACHERS,
            boxes_px=np.tile(np.array([600, 280, 800, 380], np.float32), (count, 1)),
            scores=np.full(count, 0.9, np.float32),
            frame=np.arange(count, dtype=np.int32),
            teacher=np.zeros(count, np.int8),
            attention=rng.random((count, teachers, cells), np.float32).astype(np.float16),
            attention_sizes=np.array(LEVELS, np.int32),
            embedding=np.zeros((count, teachers, len(LEVELS), CHANNELS), np.float16),
            features=np.zeros((count, teachers, CHANNELS, *LEVELS[2]), np.float16),
        ),
    )
