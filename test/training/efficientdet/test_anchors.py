from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from avdet_ros.training.efficientdet.anchors import (
    anchor_detection_loss,
    decode_boxes,
    encode_boxes,
    focal_loss,
    match_anchors,
)

ANCHORS = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [0, 20, 10, 30], [40, 40, 60, 60]])
coordinates = st.floats(0, 700)
sizes = st.floats(1, 300)


def test_anchors_match_overlapping_boxes_and_the_rest_are_background():
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 6]])
    assert match_anchors(ANCHORS, boxes).tolist() == [0, 1, -1, -1]


def test_box_claims_its_best_anchor_below_the_positive_threshold():
    # An IoU of 0.3 is background for an anchor, unless no other anchor fits the box better.
    assert match_anchors(ANCHORS, torch.tensor([[0.0, 7, 10, 10]])).tolist() == [0, -1, -1, -1]
    assert match_anchors(ANCHORS, torch.tensor([[70.0, 70, 80, 80]])).tolist() == [-1] * 4


def test_ambiguous_anchor_is_ignored():
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 4.5]])
    boxes = torch.tensor([[0.0, 0, 10, 4.5]])
    assert match_anchors(anchors, boxes).tolist() == [-2, 0]


@settings(max_examples=examples(50), deadline=None)
@given(coordinates, coordinates, sizes, sizes, coordinates, coordinates, sizes, sizes)
def test_box_decoding_inverts_encoding(x, y, w, h, ax, ay, aw, ah):
    box = torch.tensor([[x, y, x + w, y + h]], dtype=torch.float64)
    anchor = torch.tensor([[ax, ay, ax + aw, ay + ah]], dtype=torch.float64)
    if max(w / aw, h / ah) > 60:
        return
    assert torch.allclose(decode_boxes(anchor, encode_boxes(anchor, box)), box, atol=1e-6)


def test_focal_loss_down_weights_easy_examples():
    assert focal_loss(torch.zeros(1), torch.ones(1)).item() == pytest.approx(
        0.25 * 0.25 * 0.6931, rel=1e-3
    )
    easy, hard = focal_loss(torch.tensor([4.0, -4.0]), torch.ones(2))
    assert hard > 1000 * easy


def test_frame_without_vehicles_trains_background_only():
    logits = torch.zeros(1, 4, requires_grad=True)
    offsets = torch.zeros(1, 4, 4, requires_grad=True)
    loss = anchor_detection_loss(logits, offsets, ANCHORS, [torch.zeros(0, 4)])
    (loss['class'] + loss['box']).backward()
    assert loss['box'].item() == 0
    assert (logits.grad > 0).all()


def test_perfect_predictions_have_near_zero_loss():
    boxes = [torch.tensor([[1.0, 0, 10, 11]])]
    logits = torch.tensor([[9.0, -9, -9, -9]])
    offsets = torch.zeros(1, 4, 4)
    offsets[0, 0] = encode_boxes(ANCHORS[:1], boxes[0])[0]
    loss = anchor_detection_loss(logits, offsets, ANCHORS, boxes)
    assert loss['class'].item() < 1e-6
    assert loss['box'].item() == pytest.approx(0, abs=1e-10)
