"""Windows with known boxes: each sound comes from the direction of its box."""

from __future__ import annotations

from dataclasses import replace
import json

import numpy as np
import pytest

from avdet_ros.audio.features import MAX_LABELS, FrontEnd
from avdet_ros.detection.contract import microphones_in_array
from avdet_ros.rig import load_rig
from avdet_ros.rig_match import rig_numbers
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.networks.steering import image_directions, steering_weights
from avdet_ros.training.teachers.base import TeacherOutput


@pytest.fixture(scope='session')
def located():
    """Factory of windows with one box and a wave from its centre, or with neither."""
    rig, front_end = load_rig(), FrontEnd()
    directions = image_directions(rig, 240, 0, 0)
    phases = steering_weights(front_end, microphones_in_array(rig), directions) * 12

    def make(count: int, seed: int) -> WindowDataset:
        rng = np.random.default_rng(seed)
        features = np.zeros((count, 32, 80, 44), np.float16)
        features[:, :8] = -60 + rng.normal(size=(count, 8, 80, 44))
        features[:, 8:] = 0.1 * rng.normal(size=(count, 24, 80, 44))
        boxes = []
        for index in range(count):
            if index % 4 == 0:
                boxes.append(np.zeros((0, 4), np.float32))
                continue
            column = rng.integers(20, 220)
            x = (column + 0.5) / 240
            features[index, :8] += 20
            features[index, 8:] += phases[:, column].T[:, :, None].astype(np.float16)
            boxes.append(np.array([[x - 0.05, 0.45, x + 0.05, 0.65]], np.float32))
        return WindowDataset([f'window {index}' for index in range(count)], features, boxes)

    return make


@pytest.fixture(scope='session')
def window_folder(tmp_path_factory, located):
    """A folder of 150 train, val and test windows each, in the format of the simulator."""
    rig = load_rig()
    root = tmp_path_factory.mktemp('windows')
    for split, first_seed in (('train', 0), ('val', 100_000), ('test', 200_000)):
        folder = root / split
        folder.mkdir()
        (folder / 'windows.json').write_text(json.dumps(rig_numbers(rig)))
        windows = located(150, first_seed)
        boxes = np.zeros((150, MAX_LABELS, 4), np.float32)
        for index, window in enumerate(windows.boxes):
            boxes[index, : len(window)] = window * [1920, 650, 1920, 650]
        np.savez(
            folder / f'windows_{first_seed:07d}.npz',
            features=windows.spectrogram,
            boxes_px=boxes,
            count=np.array([len(window) for window in windows.boxes]),
            seed=first_seed + np.arange(150) // 3,
            time_s=3.0 * (np.arange(150) % 3),
        )
    return root


@pytest.fixture(scope='session')
def taught(located):
    """Factory of `located` windows with the outputs of two teachers: maps bright at the box."""
    sizes = np.array([[16, 32], [8, 16], [4, 8]])

    def make(count: int, seed: int) -> WindowDataset:
        windows = located(count, seed)
        rng = np.random.default_rng(seed)
        attention = []
        for boxes in windows.boxes:
            flat = []
            for height, width in sizes:
                level = np.full((height, width), 0.05)
                for x_min, y_min, x_max, y_max in boxes:
                    # The picture covers about two thirds of the height of the canvas.
                    rows = slice(int(y_min * height * 0.68), int(y_max * height * 0.68) + 1)
                    level[rows, int(x_min * width) : int(x_max * width) + 1] = 1
                flat.append(level.ravel())
            attention.append(np.stack([np.concatenate(flat)] * 2).astype(np.float16))
        return replace(
            windows,
            boxes=list(windows.boxes),
            spectrogram=list(windows.spectrogram),
            attention=attention,
            embedding=[rng.random((2, 5, 12)).astype(np.float16) for _ in range(count)],
            teacher_features=[rng.random((2, 12, 4, 8)).astype(np.float16) for _ in range(count)],
            level_sizes=sizes,
        )

    return make


class BrightSpots:
    """A teacher without a network: it detects the bright rectangle of the drives' pictures."""

    modality, image_size, crop, score, fingerprint = 'rgb', (128, 256), False, 0.5, 'bright spots'

    def predict(self, pictures):
        return [self.look(picture) for picture in pictures.numpy()]

    def look(self, picture):
        rows, columns = np.nonzero(picture[0] > picture[0].max() - 1)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        level = np.ones((4, 8), np.float32)
        one = np.ones(1, np.float32)
        means = np.zeros((5, 2), np.float32)
        return TeacherOutput(np.array([box], np.float32), one, [level] * 5, means, level[None])


@pytest.fixture(scope='session')
def bright_spots():
    """A custom teacher, see `BrightSpots`."""
    return BrightSpots()
