"""Labels of a teacher that sees everything, and what a student's map says at a box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avdet_ros.dataset.label_filter import read_filtered
from avdet_ros.dataset.labels import labels_of
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.evaluation.sounding.boxes import true_boxes
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.studies.filtered_students import (
    SEEN,
    filter_seen,
    heat_at,
    hits_at_half,
    student_table,
    write_seen,
)


@pytest.fixture
def seen(drives, tmp_path):
    """The shared drives' training boxes, and labels that see all."""
    root = tmp_path / 'drives'
    root.mkdir()
    for path in drives.iterdir():
        (root / path.name).symlink_to(path)
    boxes = true_boxes(root, by_drive(read_split(root, 0.0).train))
    write_seen(root, boxes)
    return root, boxes


def test_a_teacher_that_sees_everything(seen):
    root, boxes = seen
    frames = {one.stamp: number for number, one in enumerate(boxes.frames)}
    labels = labels_of(root, boxes.frames[0].drive, 'teachers', root / SEEN)
    for stamp, its in labels.items():
        wanted = boxes.boxes_px[boxes.frame == frames[stamp]]
        np.testing.assert_array_equal(its.boxes_px, wanted)


def test_filters_keep_what_they_say(seen):
    root, boxes = seen
    drive = boxes.frames[0].drive
    for name in ('all', 'oracle', 'deleted'):
        found = filter_seen(root, boxes, name)
        assert (found['labels'], found['right'], found['found']) == (len(boxes), 1.0, 1.0)
        assert len(read_filtered(root / SEEN, name, drive)) == 8
    assert filter_seen(root, boxes, 'truth') == {
        'labels': len(boxes),
        'right': 1.0,
        'found': 1.0,
        'open': 0,
    }


class Marked:
    """A student whose grid is 1 in the cell of row 8 and column 24, and 0 elsewhere."""

    def eval(self):
        return self

    def __call__(self, spectrogram, levels):
        grid = torch.zeros(len(spectrogram), 5, 16, 48)
        grid[:, 0, 8, 24] = 1
        return type('Output', (), {'prediction': grid})


def test_heat_is_read_in_the_box_and_in_one_cell_at_least(seen):
    _, boxes = seen
    on_it = [24.4 * 40, 8.4 * 650 / 16, 24.6 * 40, 8.6 * 650 / 16]
    beside = [800.0, 200.0, 900.0, 300.0]
    around = [900.0, 300.0, 1100.0, 400.0]
    chosen = replace(
        boxes.only(np.arange(len(boxes)) < 3), boxes_px=np.float32([on_it, beside, around])
    )
    windows = WindowDataset(
        [str(one) for one in chosen.frames],
        np.zeros((len(chosen.frames), 32, 80, 4), np.float16),
        [np.zeros((0, 4), np.float32)] * len(chosen.frames),
    )
    assert heat_at(Marked(), windows, chosen, (1920, 650)).tolist() == [1, 0, 1]


def test_hits_on_what_is_inaudible():
    sounds = np.array([True, True, True, False, False])
    assert hits_at_half(np.array([3.0, 2, 1, 2.5, 0]), sounds) == 0.5
    assert np.isnan(hits_at_half(np.ones(2), np.ones(2, bool)))


def test_table_has_mean_and_half_the_range():
    labels = {'all': {'labels': 10, 'right': 0.7, 'found': 0.9, 'open': 0}}
    one = {'map50': 0.02, 'roc_auc': 0.6, 'ap_inaudible': 0.4, 'silent_hits': 0.5, 'minutes': 1.0}
    text = student_table({'labels': labels, 'scores': {'all': [one, {**one, 'map50': 0.04}]}})
    assert '| 10 | 70 % | 90 % | 0 | 0.030 ± 0.010 | 0.60 ± 0.00 |' in text
    unknown = student_table({'labels': labels, 'scores': {'all': [{**one, 'map50': None}]}})
    assert '| 0 | - | 0.60 | 0.40 | 0.50 | 1.0 |' in unknown
