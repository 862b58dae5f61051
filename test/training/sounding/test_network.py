"""Evidence of the selector, and the logit of a picture from those of its boxes."""

from __future__ import annotations

import math

import pytest
import torch

from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG
from avdet_ros.training.sounding.network import (
    EVIDENCE,
    FARTHEST_BELOW,
    SelectorNet,
    picture_logit,
    received_at,
    windows_of,
)
from avdet_ros.training.sounding.sound_sums import GROUPS


def test_direction_window_extends_beyond_the_box_and_is_never_empty():
    windows = windows_of(torch.tensor([[[10.0, 6.0], [90.0, 89.0]]]))
    assert AZIMUTHS_DEG[windows[0, 0].numpy()].tolist() == list(range(13, 2, -1))
    assert AZIMUTHS_DEG[windows[0, 1].numpy()].tolist() == [56]


def test_heard_evidence_includes_the_level_relative_to_other_boxes():
    maps = torch.zeros(1, 2 * GROUPS, len(AZIMUTHS_DEG))
    maps[0, 0, 56 - 20] = 6.0
    maps[0, 0, 56 + 20] = 2.0
    sides = torch.tensor([[[21.0, 19.0], [-19.0, -21.0], [0.0, 0.0]]])
    valid = torch.tensor([[True, True, False]])
    heard = received_at(maps, windows_of(sides), valid)
    assert heard[0, :2, 0].tolist() == [6, 2]
    assert heard[0, :2, 2 * GROUPS].tolist() == [4, -4]
    assert (heard[0, 2] == 0).all()
    alone = received_at(maps, windows_of(sides), torch.tensor([[True, False, False]]))
    assert alone[0, 0, 2 * GROUPS] == FARTHEST_BELOW


def test_picture_logit_is_the_log_mean_exp_of_valid_boxes():
    logits = torch.tensor([[2.0, 2.0, 9.0], [0.0, math.log(3), 9.0]])
    valid = torch.tensor([[True, True, False], [True, True, False]])
    assert picture_logit(logits, valid).tolist() == pytest.approx([2.0, math.log(2)])


@pytest.mark.parametrize('kinds', [('sound',), ('sight', 'motion', 'thermal')])
def test_evidence_contains_only_the_requested_kinds(some_frames, direction_maps, kinds):
    boxes, network = some_frames(1), SelectorNet(kinds)
    maps = direction_maps(boxes.sums) if 'sound' in kinds else None
    evidence = network.evidence(boxes, maps)
    assert evidence.shape == (*boxes.valid.shape, sum(EVIDENCE[kind] for kind in kinds))
    network.fit_scaling(evidence, boxes.valid)
    known = (evidence[boxes.valid] - network.mean) / network.deviation
    assert known.mean(dim=0).abs().max() < 1e-2
    assert torch.isfinite(network(evidence)).all()
