"""Labels of a teacher that sees every vehicle, and a student that predicts directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.dataset.label_filter import read_filtered
from avdet_ros.dataset.labels import labels_of
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.evaluation.sounding.boxes import true_boxes
from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG
from avdet_ros.training.sounding.sound_sums import GROUPS
from avdet_ros.training.studies.sounding.column_student import fit_columns
from avdet_ros.training.studies.sounding.filtered_students import (
    SEEN,
    columns_of,
    filter_seen,
    hits_at_half,
    student_table,
    write_seen,
)


@pytest.fixture
def labelled_drives(drives, tmp_path):
    """The shared drives with labels of every visible box, and their training boxes."""
    root = tmp_path / 'drives'
    root.mkdir()
    for path in drives.iterdir():
        (root / path.name).symlink_to(path)
    boxes = true_boxes(root, by_drive(read_split(root, 0.0).train))
    write_seen(root, boxes)
    return root, boxes


def test_written_labels_contain_every_visible_box(labelled_drives):
    root, boxes = labelled_drives
    frames = {one.stamp: number for number, one in enumerate(boxes.frames)}
    labels = labels_of(root, boxes.frames[0].drive, 'teachers', root / SEEN)
    for stamp, its in labels.items():
        wanted = boxes.boxes_px[boxes.frame == frames[stamp]]
        np.testing.assert_array_equal(its.boxes_px, wanted)


def test_filters_write_and_count_their_labels(labelled_drives):
    root, boxes = labelled_drives
    drive = boxes.frames[0].drive
    for name in ('all', 'oracle', 'deleted'):
        found = filter_seen(root, boxes, name, {})
        assert (found['labels'], found['right'], found['found']) == (len(boxes), 1.0, 1.0)
        assert len(read_filtered(root / SEEN, name, drive)) == 8
    assert filter_seen(root, boxes, 'truth', {}) == {
        'labels': len(boxes),
        'right': 1.0,
        'found': 1.0,
        'open': 0,
    }


def test_columns_of_a_box_lie_in_its_direction(rig):
    columns = columns_of(np.float32([[940, 320, 980, 350]]), rig)
    assert 2 <= columns.sum() <= 6
    assert np.abs(AZIMUTHS_DEG[columns]).max() <= 3
    assert not columns_of(np.zeros((0, 4)), rig).any()


def test_student_learns_directions_and_stays_unchanged_without_labels():
    generator = torch.Generator().manual_seed(0)
    many, columns = 96, len(AZIMUTHS_DEG)
    maps = torch.randn(many, 2 * GROUPS, columns, generator=generator) * 0.1
    place = torch.randint(10, columns - 10, (many,), generator=generator)
    heat = torch.nn.functional.one_hot(place, columns).float()
    maps += 3 * heat[:, None]
    student = fit_columns(maps, heat, torch.ones_like(heat, dtype=torch.bool), 60, 0)
    with torch.no_grad():
        assert (student(maps).argmax(dim=1) == place).float().mean() > 0.9
    untaught = fit_columns(maps, heat, heat > 1, 3, 0)
    fresh = fit_columns(maps, heat, heat > 1, 0, 0)
    with torch.no_grad():
        torch.testing.assert_close(untaught(maps), fresh(maps), atol=1e-3, rtol=1e-2)


def test_share_of_hits_on_inaudible_boxes_is_counted():
    sounds = np.array([True, True, True, False, False])
    assert hits_at_half(np.array([3.0, 2, 1, 2.5, 0]), sounds) == 0.5
    assert np.isnan(hits_at_half(np.ones(2), np.ones(2, bool)))


def test_table_shows_mean_and_half_the_range():
    labels = {'all': {'labels': 10, 'right': 0.7, 'found': 0.9, 'open': 0}}
    keys = ('ap_hidden', 'roc_auc', 'ap_inaudible', 'silent_hits')
    one = {'ap_directions': 0.2, **dict.fromkeys(keys, 0.5)}
    text = student_table(
        {'labels': labels, 'scores': {'all': [one, {**one, 'ap_directions': 0.4}]}}
    )
    assert '| 10 | 70 % | 90 % | 0 | 0.300 ± 0.100 | 0.500 ± 0.000 |' in text
    unknown = student_table({'labels': labels, 'scores': {'all': [{**one, 'ap_hidden': None}]}})
    assert '| 0 | 0.200 | - | 0.500 | 0.500 | 0.500 |' in unknown
