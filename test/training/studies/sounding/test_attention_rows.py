"""Scores of correct and of wrong attention maps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from avdet_ros.training.sounding.attention import COLUMNS, ROWS
from avdet_ros.training.sounding.attention_run import cells_of
from avdet_ros.training.studies.sounding.attention_rows import (
    ATTENTIONS,
    WITHOUT_THERMAL,
    attention_not_run,
    attention_table,
    keys_for,
    scores_of,
)

SIZE = (1920, 640)


def test_small_box_covers_at_least_one_cell():
    small = cells_of(np.array([85.0, 85, 90, 90]), SIZE)
    assert np.argwhere(small).tolist() == [[1, 1]]
    large = cells_of(np.array([0.0, 0, 160, 80]), SIZE)
    assert np.argwhere(large).tolist() == [[0, 0], [0, 1]]
    assert cells_of(np.array([1900.0, 600, 1940, 680]), SIZE)[-1, -1]


def test_rows_that_need_more_labelled_frames_than_exist_are_left_out():
    masks = np.zeros((200, ROWS, COLUMNS))
    masks[:100, 2, 3] = 1
    keys = keys_for(masks, thermal=True)
    assert {'map', 'map_best', 'map_20', 'map_100', 'map_only_100', 'map_told'} <= set(keys)
    assert not {'map_500', 'literal_500', 'map_only_500', 'literal_2000'} & set(keys)
    assert {'map_thermal', 'literal_100_thermal', 'map_told_thermal'} <= set(keys)
    assert attention_not_run(masks).endswith(
        'Only 100 training frames have a visible vehicle that sounds.'
    )
    assert attention_not_run(masks).count(' frames labelled') == 5
    enough = np.ones((2000, 1, 1))
    assert keys_for(enough, thermal=True) == list(ATTENTIONS)
    assert keys_for(enough, thermal=False) == list(WITHOUT_THERMAL)
    assert attention_not_run(enough) == ''


def test_attention_scores_match_hand_calculation():
    boxes = np.array([[0.0, 0, 80, 80], [800, 0, 880, 80], [80, 80, 160, 160]])
    sounds, frame = np.array([True, False, False]), np.array([0, 0, 1])
    masks = np.zeros((2, ROWS, COLUMNS))
    masks[0, 0, 0] = 1
    heat = np.full((2, ROWS, COLUMNS), 0.1)
    heat[0, 0, 0], heat[0, 0, 10] = 0.9, 0.2
    heat[1, 5] = 0.8
    wrong = heat[:, :, ::-1]
    seen = SimpleNamespace(frame=frame, boxes_px=boxes, sounds=sounds)
    test = SimpleNamespace(masks=masks, boxes=seen)
    found = scores_of(heat, heat, wrong, masks, test, SIZE)
    assert (found['ciou'], found['peak'], found['peak_wrong']) == (1.0, 1.0, 0.0)
    assert found['auc'] == pytest.approx(1.0)
    assert (found['roc_auc'], found['ap_inaudible']) == (1.0, 1.0)
    assert found['ap_wrong'] < 1
    assert found['lit'] == pytest.approx(1 / ROWS)
    text = attention_table({'map': [found, {**found, 'ciou': 0.5, 'auc': None}]})
    assert f'| {ATTENTIONS["map"][0]} | 0.75 ± 0.25 | 1.00 | 1.00 ± 0.00 |' in text
