"""Verdicts of a label filter, written to disk and read back."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.dataset import label_filter
from avdet_ros.dataset.label_filter import KEEP, OPEN, ROAD, FilteredFrame
from avdet_ros.errors import AvdetError


def frame(verdicts, opened=0):
    many = len(verdicts)
    boxes = np.arange(4 * many, dtype=np.float32).reshape(-1, 4)
    strips = np.tile(np.float32([100, 0, 150, 650]), (opened, 1))
    score = np.linspace(0.9, 0.1, many).astype(np.float32)
    return FilteredFrame(boxes, np.array(verdicts, np.int8), score, strips)


def test_filtered_labels_round_trip_through_their_file(tmp_path):
    frames = {'1': frame([KEEP, OPEN, ROAD], 1), '2': frame([]), '3': frame([OPEN])}
    label_filter.write_filtered(label_filter.filter_path(tmp_path, 'moving', 'day'), frames)
    again = label_filter.read_filtered(tmp_path, 'moving', 'day')
    assert list(again) == ['1', '2', '3']
    for stamp, its in frames.items():
        for name, value in vars(its).items():
            np.testing.assert_array_equal(getattr(again[stamp], name), value)
    assert again['1'].kept_px.tolist() == [[0, 1, 2, 3]]
    assert again['1'].left_open_px.tolist() == [[4, 5, 6, 7], [100, 0, 150, 650]]
    assert again['2'].left_open_px.shape == (0, 4)
    label_filter.write_filtered(label_filter.filter_path(tmp_path, 'moving', 'night'), {})
    assert label_filter.read_filtered(tmp_path, 'moving', 'night') == {}


def test_missing_damaged_or_outdated_filter_files_are_rejected(tmp_path):
    with pytest.raises(AvdetError, match='train label --filter sounding --selector RUN makes it'):
        label_filter.read_filtered(tmp_path, 'sounding', 'day')
    path = label_filter.filter_path(tmp_path, 'moving', 'day')
    path.parent.mkdir()
    path.write_bytes(b'no arrays')
    with pytest.raises(AvdetError, match='expected results of a filter, found'):
        label_filter.read_filtered(tmp_path, 'moving', 'day')
    label_filter.write_filtered(path, {'1': frame([KEEP])})
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, 'boxes_px': arrays['boxes_px'][:, :3]})
    with pytest.raises(AvdetError, match='boxes_px of float32 and shape'):
        label_filter.read_filtered(tmp_path, 'moving', 'day')
    its = frame([KEEP, OPEN])
    label_filter.check_same_boxes(its, its.boxes_px, 'frame 1')
    for others in (its.boxes_px[:1], its.boxes_px + 1):
        with pytest.raises(AvdetError, match='labels are newer: make the filter again'):
            label_filter.check_same_boxes(its, others, 'frame 1')
