"""Saved scores of selectors are used only for the same boxes."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.dataset.label_filter import KEEP, OPEN
from avdet_ros.dataset.layout import make_id
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG, Received
from avdet_ros.training.sounding.run import unknown_boxes
from avdet_ros.training.studies.sounding.selector_filter import JUDGES, judges


def test_saved_scores_are_used_and_those_of_other_boxes_are_rejected(rig, tmp_path):
    frame = make_id('drive_day_2030_01_01_10_00_00', 1_000_000_000)
    boxes = unknown_boxes([frame], [np.float32([[300, 300, 360, 350], [900, 300, 960, 350]])])
    level = np.linspace(-30, -20, len(AZIMUTHS_DEG))[None]
    its = judges(tmp_path, None, Received(level, level, level[:, 0]), rig, tmp_path, 1)
    assert its.keys() == JUDGES.keys()
    np.save(tmp_path / 'sounding.npy', np.array([0.9, 0.4]))
    (found,) = its['sounding'](boxes)
    assert found.verdict.tolist() == [KEEP, OPEN]
    assert found.score == pytest.approx([0.9, 0.4])
    np.save(tmp_path / 'sounding.npy', np.array([0.9]))
    with pytest.raises(AvdetError, match=r'found 1 for 2 boxes; delete it to create it again'):
        its['sounding'](boxes)
