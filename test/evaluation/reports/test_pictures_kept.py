"""Pictures of reports match small copies that were checked by eye.

After an intended change,

    python test/evaluation/reports/test_pictures_kept.py

rewrites the copies, in colour, and writes full-size pictures to out/kept_pictures.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys

import cv2
import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.boxes.error_maps import error_maps
from avdet_ros.evaluation.reports.pictures import draw_frame
from avdet_ros.evaluation.reports.plots import error_maps_jpeg
from avdet_ros.evaluation.reports.samples import draw_sample
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.rig import load_rig

KEPT = Path(__file__).with_name('kept_pictures.json')
COLUMNS, ROWS = 24, 16
APART = 3
"""Of 255: other versions of a codec round differently."""

TRUE = TruthFrame.of(
    [[100, 100, 300, 300], [900, 250, 1300, 450], [1500, 100, 1900, 200]], [1, 2, 3]
)
FOUND = Detections(
    np.float32([[110, 100, 310, 300], [1060, 250, 1460, 450], [200, 420, 700, 640]]),
    np.float32([0.94, 0.7, 0.41]),
)
FAINT = Detections(np.float32([[0, 0, 900, 600]]), np.float32([0.2]))


def backdrop():
    """Darker to the left and bottom, so that each corner has a different colour."""
    x, y = np.meshgrid(np.arange(1920), np.arange(650))
    grey = (60 + x / 20 - y / 12).astype(np.uint8)
    return np.stack([grey, grey // 2, 255 - grey], axis=2)


def record(frames=2):
    """A drive with the same errors in each frame, and a last frame without vehicles."""
    nothing = TruthFrame.of([], [])
    return DriveRecord(
        'one',
        [float(index) for index in range(frames + 1)],
        [TRUE] * frames + [nothing],
        {'it': [FOUND] * frames + [FAINT]},
    )


def maps(seen):
    its = record()
    picture = error_maps_jpeg(error_maps([its], 'it', (1920, 650), 40), 3, seen)
    return cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)


PICTURES = {
    'maps on a picture': lambda: maps(backdrop()),
    'maps on nothing': lambda: maps(None),
    'a frame of a report': lambda: draw_sample(backdrop(), TRUE, FOUND),
    'two models on a picture': lambda: draw_frame(
        load_rig(), TRUE, {'first': FOUND, 'second': FAINT, 'third': FOUND}, 'text', backdrop()
    ),
    'a model on bearings': lambda: draw_frame(load_rig(), TRUE, {'a': FAINT, 'b': FOUND}, 'x'),
}


def small(picture):
    return cv2.resize(picture, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA).astype(int)


@pytest.fixture(scope='module')
def kept():
    return json.loads(KEPT.read_text(encoding='utf-8'))


@pytest.mark.parametrize('name', PICTURES)
def test_picture_matches_its_kept_copy(kept, name):
    before = np.array(kept[name]).reshape(ROWS, COLUMNS, 3)
    apart = np.abs(small(PICTURES[name]()) - before).max(axis=2)
    assert apart.max() <= APART, f'row and column {np.argwhere(apart > APART).tolist()}'


if __name__ == '__main__':
    folder = Path('out', 'kept_pictures')
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PICTURES.items():
        cv2.imwrite(str(folder / f'{name.replace(" ", "_")}.png'), make())
    pictures = {name: small(make()).ravel().tolist() for name, make in PICTURES.items()}
    KEPT.write_text(json.dumps(pictures) + '\n', encoding='utf-8')
    sys.exit(0)
