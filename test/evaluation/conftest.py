"""Drives whose detections are the truth with known errors, small data sets and bags."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
import json
import shutil

import cv2
from helpers.array_models import steered_response_model
from helpers.models import loudness_model, save_model
import numpy as np
import pytest
import soundfile

from avdet_ros.bags.writer import BagWriter
from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import DriveLabels, write_labels
from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.messages.decode import DETECTIONS, IMAGE, ODOMETRY, TEMPERATURE
from avdet_ros.messages.encode_offline import (
    make_detections,
    make_header,
    make_image,
    make_odometry,
    make_sound,
    make_temperature,
)
from avdet_ros.messages.typestore import serialize
from avdet_ros.rig import default_rig_path


class Counted:
    """Progress that records the announced total and the completed amount of each step."""

    visible = False

    def __init__(self):
        self.totals, self.done = {}, Counter()

    @contextmanager
    def step(self, name, total=None):
        self.totals[name] = total

        def advance(done=1):
            self.done[name] += done

        yield advance


@pytest.fixture
def counted():
    return Counted()


def imperfect(frame, rng, shift_px, missed, score=0.9):
    boxes = frame.boxes_px[rng.random(len(frame)) >= missed]
    boxes = boxes + rng.normal(0, shift_px, (len(boxes), 1)) * [1, 0, 1, 0]
    scores = np.sort(np.clip(rng.normal(score, 0.05, len(boxes)), 0, 1))[::-1]
    return Detections(boxes.astype(np.float32), scores.astype(np.float32))


def make_drive(seed, errors, windows=40):
    """Vehicles that cross the image; ``errors`` maps a detector to (shift, missed)."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    start, speed = rng.uniform(0, 1400, count), rng.uniform(-150, 150, count)
    record = DriveRecord(f'seed {seed}', detections={name: [] for name in errors})
    for index in range(windows):
        left = start + speed * index / 10
        boxes = np.stack([left, 300 + 0 * left, left + 220, 400 + 0 * left], axis=1)
        truth = TruthFrame(
            boxes, np.arange(count), rng.uniform(5, 60, count), rng.uniform(0, 1, count)
        )
        record.stamps_s.append(0.5 + index / 10)
        record.truth.append(truth)
        for name, (shift_px, missed) in errors.items():
            record.detections[name].append(imperfect(truth, rng, shift_px, missed))
            record.milliseconds.setdefault(name, []).append(1.0)
    return record


@pytest.fixture(scope='session')
def drive():
    return make_drive


@pytest.fixture(scope='session')
def model(tmp_path_factory, rig, front_end):
    path = tmp_path_factory.mktemp('model') / 'loudness.onnx'
    return save_model(loudness_model(rig, front_end), path)


@pytest.fixture(scope='session')
def other_model(tmp_path_factory, rig, front_end):
    """A model that predicts its box elsewhere."""
    path = tmp_path_factory.mktemp('model') / 'elsewhere.onnx'
    return save_model(loudness_model(rig, front_end, (0.7, 0.4, 0.8, 0.6)), path)


@pytest.fixture(scope='session')
def steered_model(tmp_path_factory, front_end):
    path = tmp_path_factory.mktemp('model') / 'steered.onnx'
    return save_model(steered_response_model(front_end), path)


START_NS = 1_893_489_315_000_000_000
FRAMES = 6
LOUD_PX = (768, 260, 960, 390)
"""The box that the loudness model predicts in every window."""


def write_drive(root, name, seed, static):
    """A drive in the MAVD layout: noise, grey pictures, one vehicle where the model predicts one,
    and in every second frame a hidden one far away."""
    rng = np.random.default_rng(seed)
    folder = root / name
    (folder / 'truth').mkdir(parents=True)
    (folder / 'fl_rgb').mkdir()
    sound = (rng.normal(size=(44100 * 4, 8)) * 3000).astype(np.int16)
    soundfile.write(folder / 'drive.flac', sound, 44100, subtype='PCM_16')
    (folder / 'parameters.json').write_text(json.dumps({'start_ns': START_NS, 'static': static}))
    shutil.copyfile(default_rig_path(), folder / 'rig.yaml')
    frames, lines = [], []
    for index in range(FRAMES):
        frame = layout.make_id(name, START_NS + 500_000_000 * (index + 1))
        picture = np.full((650, 1920, 3), 60 + 20 * index, np.uint8)
        cv2.imwrite(str(layout.picture_path(root, frame, 'rgb', '.jpg')), picture)
        boxes = [list(LOUD_PX), [100, 300, 140, 330], [1500, 300, 1540, 330]]
        lines.append(
            {
                'stamp': frame.stamp,
                'boxes_px': boxes,
                'ids': [4, 7, 9],
                'distance_m': [12.5, 55.0, 20.0],
                'visible_fraction': [1.0, 0.1, 1.0],
                'label': [True, index % 2 == 0, False],
            }
        )
        frames.append(frame)
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (folder / 'truth' / 'frames.jsonl').write_text(text)
    return frames


def label_drive(root, name, frames):
    """One teacher's labels of a drive: the near vehicle in all frames but the last."""
    count = len(frames)
    boxes = np.tile(np.float32(LOUD_PX), (count - 1, 1))
    write_labels(
        root / 'labels' / f'{name}.npz',
        DriveLabels(
            ids=np.array([frame.stamp for frame in frames]),
            teachers=('rgb',),
            boxes_px=boxes,
            scores=np.full(count - 1, 0.9, np.float32),
            frame=np.arange(count - 1, dtype=np.int32),
            teacher=np.zeros(count - 1, np.int8),
            attention=np.zeros((count, 1, 5), np.float16),
            attention_sizes=np.ones((5, 2), np.int32),
            embedding=np.zeros((count, 1, 5, 2), np.float16),
            features=np.zeros((count, 1, 2, 1, 1), np.float16),
        ),
    )


@pytest.fixture
def dataset(tmp_path):
    """Two test drives, one by day and one by night, and a training drive, labels for all."""
    root = tmp_path / 'set'
    plan = (
        ('drive_day_1', 'test', True),
        ('drive_night_2', 'test', False),
        ('drive_day_3', 'train', False),
    )
    splits = {'test': [], 'train': []}
    for seed, (name, split, static) in enumerate(plan):
        frames = write_drive(root, name, seed, static)
        label_drive(root, name, frames)
        splits[split] += frames
    for split, frames in splits.items():
        layout.write_ids(layout.split_path(root, split), frames)
    night = [frame for frame in splits['test'] if not frame.is_day]
    layout.write_ids(layout.split_path(root, 'test', 'night'), night)
    return root


@pytest.fixture
def write_bag(tmp_path):
    """Writes a bag: three seconds of noise and pictures; optionally the truth ten times a second,
    and odometry with air of -10 degrees."""

    def write(name, truth=True, seed=0, ahead_mps=None):
        rng = np.random.default_rng(seed)
        sound = (rng.normal(size=(3 * 44100, 8)) * 3000).astype(np.int16)
        entries = []
        for first in range(0, len(sound), 1024):
            stamp = START_NS + round(first * 1e9 / 44100)
            header = make_header(stamp, 'microphone_array')
            block = make_sound(header, sound[first : first + 1024])
            entries.append((stamp + 25_000_000, '/avdet/audio', IMAGE, block))
        for index in range(31):
            stamp = START_NS + 100_000_000 * index
            header = make_header(stamp, 'camera_optical_frame')
            picture = make_image(header, 'mono8', 65, 192, np.full((65, 192), 90, np.uint8))
            entries.append((stamp, '/camera/image_raw', IMAGE, picture))
            if ahead_mps is not None:
                pose = (ahead_mps * 0.1 * index, 0.0, 0.0)
                way = make_odometry(make_header(stamp, 'odom'), 'base_link', pose, 0.0, 0.0)
                entries.append((stamp, '/avdet/odom', ODOMETRY, way))
                air = make_temperature(make_header(stamp, 'base_link'), -10.0)
                entries.append((stamp, '/avdet/air_temperature', TEMPERATURE, air))
            if truth:
                found = Detections(np.float32([LOUD_PX]), np.ones(1, np.float32))
                boxes = make_detections(header, found)
                boxes.detections[0].id = 'van'
                entries.append((stamp, '/avdet/truth', DETECTIONS, boxes))
        with BagWriter(tmp_path / name) as writer:
            for stamp, topic, kind, message in sorted(entries, key=lambda entry: entry[:2]):
                writer.write(topic, kind, serialize(message), stamp)
        return tmp_path / name

    return write
