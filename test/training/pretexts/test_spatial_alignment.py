from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.boxes.columns import COLUMNS
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.pretexts.spatial_alignment import (
    FAR,
    SpatialAlignment,
    alignment,
    box_columns,
    in_boxes,
)


def test_box_columns_mark_own_columns_and_mirrored_hard_negatives():
    boxes = [torch.tensor([[0.1, 0.4, 0.2, 0.6], [0.5, 0.4, 0.55, 0.5]]), torch.zeros(0, 4)]
    own, far = box_columns(boxes)
    centres = (np.arange(COLUMNS) + 0.5) / COLUMNS
    margin = 1 / COLUMNS
    expected = (centres >= 0.1 - margin) & (centres <= 0.2 + margin)
    assert own[0].numpy().tolist() == expected.tolist()
    assert far[0, int(0.85 * COLUMNS)], 'its mirror image'
    assert not far[0, int(0.52 * COLUMNS)], 'another vehicle is not a negative'
    near = (centres > 0.2) & (centres < 0.2 + FAR)
    assert not far[0].numpy()[near].any()
    assert not (own & far).any()


def test_box_beyond_the_border_still_has_one_column():
    own, _ = box_columns([torch.tensor([[1.3, 0.4, 1.4, 0.6]])])
    assert own.sum() == 1


def test_alignment_loss_matches_hand_calculation():
    scores = torch.zeros(1, 2, COLUMNS)
    scores[0, 0, 10], scores[0, 0, 11] = 2.0, 1.0
    scores[0, 0, 30] = 1.5
    scores[0, 1, 11] = 0.5
    own = torch.zeros(1, COLUMNS, dtype=torch.bool)
    own[0, 10:12] = True
    far = torch.zeros_like(own)
    far[0, 30] = True
    owner, elsewhere = torch.tensor([0]), torch.ones(2, 2, dtype=torch.bool)
    elsewhere.fill_diagonal_(False)
    total = math.exp(2) + math.exp(1.5) + math.exp(0.5)
    terms = alignment(scores, owner, own, far, elsewhere)
    assert terms['loss'] == pytest.approx(math.log(total) - 2)
    assert terms['found'] == 1
    alone = alignment(scores, owner, own, far, None)
    assert alone['loss'] == pytest.approx(math.log(math.exp(2) + math.exp(1.5)) - 2)
    far[0, 30], far[0, 20] = False, True
    assert alignment(scores - scores[0, 0, 10] * own, owner, own, far, None)['found'] == 0


def test_constant_column_offsets_cannot_replace_sound(make_windows, make_pretext):
    windows = make_windows(16, 0)
    task = make_pretext(SpatialAlignment, windows, windows).eval()
    batch = windows.batch(range(1, 16, 4))
    same_sound = replace(batch, spectrogram=batch.spectrogram[:1].expand_as(batch.spectrogram))
    with torch.no_grad():
        task.student.student.place += torch.randn_like(task.student.student.place)
        assert task.measure(same_sound)['found'] < 0.5, 'all windows have the same sound'


def test_in_boxes_takes_features_at_the_box():
    area = picture_area((128, 256), 1920, 650, crop=False)
    maps = torch.zeros(2, 1, 8, 16)
    maps[1, 0, :, 12:] = 1.0
    boxes = torch.tensor([[0.9, 0.4, 0.95, 0.6], [0.9, 0.4, 0.95, 0.6], [0.1, 0.4, 0.2, 0.6]])
    taken = in_boxes(maps, boxes, torch.tensor([0, 1, 1]), area)
    assert taken[:, 0].tolist() == [0, 1, 0]


@pytest.mark.slow
def test_spatial_alignment_learns_directions_of_unseen_drives(make_windows, make_pretext):
    train, val = make_windows(128, 0), make_windows(64, 1)
    task = make_pretext(SpatialAlignment, train, val).train()
    optimiser = torch.optim.Adam(task.parameters(), lr=5e-3)
    for step in range(80):
        places = [(16 * step + place) % 128 for place in range(16)]
        loss = task.measure(train.batch(places))['loss']
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        values = task.eval().measure(val.batch(range(64)))
    assert values['found'] > 0.6
    assert values['deaf'] < 0.5 * values['found']


def test_windows_without_boxes_are_rejected_and_batches_have_zero_loss(make_windows, make_pretext):
    windows = make_windows(16, 0)
    empty = replace(windows, boxes=[np.zeros((0, 4), np.float32)] * 16)
    with pytest.raises(AvdetError, match='spatial_alignment: expected labelled boxes'):
        make_pretext(SpatialAlignment, empty, windows)
    task = make_pretext(SpatialAlignment, windows, windows)
    terms = task.measure(empty.batch(range(4)))
    terms['loss'].backward()
    assert terms['loss'] == 0
