"""Quality of labels against a known truth."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import DriveLabels, write_labels
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.boxes.label_quality import FUSED, judge, label_quality, summary

DRIVE = 'drive_day_2030_01_01_10_00_00'


def test_judge_counts_a_vehicle_once_and_ignores_hidden_ones():
    true = np.array([[0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10]])
    wanted = np.array([True, True, False])
    found = np.array([[0, 0, 10, 9], [0, 1, 10, 10], [200, 0, 210, 9], [50, 0, 60, 10]])
    judged = judge(found, np.array([0.5, 0.9, 0.8, 0.7]), true, wanted)
    assert judged.tolist() == [[0.9, 1], [0.7, 0], [0.5, 0]]
    assert judge(np.zeros((0, 4)), np.zeros(0), true, wanted).shape == (0, 2)
    no_vehicles = judge(found[:1], np.array([0.5]), np.zeros((0, 4)), np.zeros(0, bool))
    assert no_vehicles.tolist() == [[0.5, 0]]


def test_recall_is_read_at_the_required_precision():
    right = [1] * 9 + [0] + [1] * 2 + [0] * 3
    judged = np.stack([np.linspace(1, 0.3, 15), right], axis=-1)
    found = summary(judged, vehicles=20)
    assert (found.boxes, found.right) == (15, 11)
    assert found.recall == pytest.approx(0.55)
    # 9 of 10, 10 of 11 and 11 of 12 right boxes are enough; 11 of 13 are not.
    assert found.recall_at == pytest.approx(0.55)
    assert found.score_at == pytest.approx(1 - 11 * 0.05)
    none = summary(np.zeros((0, 2)), 5)
    assert none.recall_at == 0
    assert np.isnan(none.score_at)
    equal = summary(np.array([[0.5, 1], [0.5, 0]]), 1)
    assert equal.recall_at == 0


def test_quality_is_given_per_teacher_and_fused(tmp_path):
    frame = layout.make_id(DRIVE, 1_900_000_000_500_000_000)
    boxes = [[100, 100, 200, 160], [400, 100, 500, 160], [700, 100, 720, 110]]
    line = {
        'stamp': frame.stamp,
        'time_s': 0.5,
        'boxes_px': boxes,
        'ids': [1, 2, 3],
        'kinds': ['car'] * 3,
        'distance_m': [20.0, 30.0, 60.0],
        'speed_mps': [9.0] * 3,
        'in_image': [1.0] * 3,
        'visible_fraction': [1.0, 0.9, 0.1],
        'level_db': [60.0] * 3,
        'rest_db': [50.0] * 3,
        'audible': [True] * 3,
        'label': [True] * 3,
        'pixels': [6000, 5000, 20],
    }
    truth = tmp_path / DRIVE / 'truth'
    truth.mkdir(parents=True)
    (truth / 'frames.jsonl').write_text(json.dumps(line) + '\n')
    maps = np.zeros((1, 2, 0), np.float16)
    table = DriveLabels(
        ids=np.array([frame.stamp]),
        teachers=('rgb', 'thermal'),
        boxes_px=np.array([boxes[0], boxes[1], boxes[0], [900, 0, 950, 40]], np.float32),
        scores=np.array([0.9, 0.6, 0.8, 0.5], np.float32),
        frame=np.zeros(4, np.int32),
        teacher=np.array([0, 0, 1, 1], np.int8),
        attention=maps,
        attention_sizes=np.zeros((0, 2), np.int32),
        embedding=np.zeros((1, 2, 0, 0), np.float16),
        features=np.zeros((1, 2, 0, 0, 0), np.float16),
    )
    write_labels(tmp_path / 'labels' / f'{DRIVE}.npz', table)
    found = label_quality(tmp_path, {DRIVE: [frame]}, tmp_path / 'labels')
    assert [found[name].vehicles for name in ('rgb', 'thermal', FUSED)] == [2, 2, 2]
    assert (found['rgb'].recall, found['rgb'].precision) == (1.0, 1.0)
    assert (found['thermal'].recall, found['thermal'].precision) == (0.5, 0.5)
    assert (found[FUSED].boxes, found[FUSED].right) == (3, 2)
    assert found[FUSED].recall_at == 1.0
    assert found[FUSED].score_at == pytest.approx(0.6)
    with pytest.raises(AvdetError, match='expected frames with labels and with a truth'):
        label_quality(tmp_path, {}, tmp_path / 'labels')
