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


def test_a_box_has_its_columns_and_the_mirrored_place_is_a_hard_negative():
    boxes = [torch.tensor([[0.1, 0.4, 0.2, 0.6], [0.5, 0.4, 0.55, 0.5]]), torch.zeros(0, 4)]
    own, far = box_columns(boxes)
    centres = (np.arange(COLUMNS) + 0.5) / COLUMNS
    margin = 1 / COLUMNS
    expected = (centres >= 0.1 - margin) & (centres <= 0.2 + margin)
    assert own[0].numpy().tolist() == expected.tolist()
    assert far[0, int(0.85 * COLUMNS)], 'its mirror image'
    assert not far[0, int(0.52 * COLUMNS)], 'another vehicle is no negative'
    near = (centres > 0.2) & (centres < 0.2 + FAR)
    assert not far[0].numpy()[near].any()
    assert not (own & far).any()


def test_a_box_at_the_border_still_has_a_column():
    own, _ = box_columns([torch.tensor([[1.3, 0.4, 1.4, 0.6]])])
    assert own.sum() == 1


def test_the_loss_is_the_one_worked_out_by_hand():
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


def test_a_constant_of_the_columns_cannot_stand_for_hearing(of_drives, make_pretext):
    windows = of_drives(16, 0)
    task = make_pretext(SpatialAlignment, windows, windows).eval()
    batch = windows.batch(range(1, 16, 4))
    deaf = replace(batch, spectrogram=batch.spectrogram[:1].expand_as(batch.spectrogram))
    with torch.no_grad():
        task.student.student.place += torch.randn_like(task.student.student.place)
        assert task.measure(deaf)['found'] < 0.5, 'no sound tells the windows apart'


def test_features_are_taken_where_the_box_is():
    area = picture_area((128, 256), 1920, 650, crop=False)
    maps = torch.zeros(2, 1, 8, 16)
    maps[1, 0, :, 12:] = 1.0
    boxes = torch.tensor([[0.9, 0.4, 0.95, 0.6], [0.9, 0.4, 0.95, 0.6], [0.1, 0.4, 0.2, 0.6]])
    taken = in_boxes(maps, boxes, torch.tensor([0, 1, 1]), area)
    assert taken[:, 0].tolist() == [0, 1, 0]


@pytest.mark.slow
def test_directions_are_learned_and_not_by_heart(of_drives, make_pretext):
    train, val = of_drives(128, 0), of_drives(64, 1)
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


def test_no_box_at_all_is_refused(of_drives, make_pretext):
    windows = of_drives(16, 0)
    empty = replace(windows, boxes=[np.zeros((0, 4), np.float32)] * 16)
    with pytest.raises(AvdetError, match='spatial_alignment: expected labelled boxes'):
        make_pretext(SpatialAlignment, empty, windows)
    task = make_pretext(SpatialAlignment, windows, windows)
    terms = task.measure(empty.batch(range(4)))
    terms['loss'].backward()
    assert terms['loss'] == 0
