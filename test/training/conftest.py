"""Windows with a known answer: what comes from somewhere has its box there."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import microphones_in_array
from avdet_ros.rig import load_rig
from avdet_ros.simulation.windows import MAX_LABELS
from avdet_ros.training.steering import image_directions, steering_weights
from avdet_ros.training.window_set import WindowSet


@pytest.fixture(scope='session')
def heard_boxes():
    """Makes windows in which a wave comes from the middle of the one box, or nothing does."""
    rig, front_end = load_rig(), FrontEnd()
    directions = image_directions(rig, 240, 0, 0)
    phases = steering_weights(front_end, microphones_in_array(rig), directions) * 12

    def make(count: int, seed: int) -> WindowSet:
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
        return WindowSet(features, boxes)

    return make


@pytest.fixture(scope='session')
def window_folder(tmp_path_factory, heard_boxes):
    """A folder of train, val and test windows as the simulator writes them, 150 each."""
    rig = load_rig()
    root = tmp_path_factory.mktemp('windows')
    for split, first_seed in (('train', 0), ('val', 100_000), ('test', 200_000)):
        folder = root / split
        folder.mkdir()
        manifest = {
            'image_px': [rig.camera.width_px, rig.camera.height_px],
            'microphones_m': rig.microphones_m.round(6).tolist(),
        }
        (folder / 'windows.json').write_text(json.dumps(manifest))
        windows = heard_boxes(150, first_seed)
        boxes = np.zeros((150, MAX_LABELS, 4), np.float32)
        for index, window in enumerate(windows.boxes):
            boxes[index, : len(window)] = window * [1920, 650, 1920, 650]
        np.savez(
            folder / f'windows_{first_seed:07d}.npz',
            features=windows.features,
            boxes_px=boxes,
            count=np.array([len(window) for window in windows.boxes]),
        )
    return root
