from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avdet_ros.training.any_array.bearing_first import RANGE_BINS, VALUES, BearingShape
from avdet_ros.training.any_array.boxes import columns_deg, encoded_boxes
from avdet_ros.training.any_array.losses import (
    BearingLabels,
    bearing_loss,
    bearing_targets,
    generalised_iou_loss,
    range_shares,
)

SHAPE = BearingShape()


def labels(*windows):
    """Make labels from windows of (azimuth, elevation, width, height, range) rows."""
    angles, range_m = torch.zeros(len(windows), 4, 4), torch.zeros(len(windows), 4)
    valid = torch.zeros(len(windows), 4, dtype=torch.bool)
    for row, window in enumerate(windows):
        for slot, (*vehicle, away_m) in enumerate(window):
            angles[row, slot] = torch.tensor(vehicle)
            range_m[row, slot], valid[row, slot] = away_m, True
    return BearingLabels(angles, range_m, valid)


NEAR, FAR = (20.3, -6.0, 18.0, 8.0, 9.0), (-31.0, -1.0, 3.0, 2.0, 40.0)


def perfect_prediction(truth: BearingLabels) -> torch.Tensor:
    targets = bearing_targets(truth, SHAPE)
    columns = torch.zeros(len(truth.valid), 64, VALUES)
    columns[..., 0] = torch.where(targets.heat >= 1, 12.0, -12.0)
    columns[..., 1:5] = encoded_boxes(targets.angles_deg, columns_deg(SHAPE), SHAPE)
    columns[..., 5:] = (range_shares(targets.range_m) + 1e-6).log()
    return columns.transpose(1, 2)


def test_targets_lie_in_the_columns_of_the_vehicles():
    targets = bearing_targets(labels([NEAR, FAR], []), SHAPE)
    assert float(targets.vehicles) == 2
    assert targets.heat[1].max() == 0
    peaks = torch.nonzero(targets.heat[0] >= 1).flatten().tolist()
    centres = columns_deg(SHAPE)
    assert [round(float(centres[peak]), 1) for peak in peaks] == [20.1, -30.6]
    # The wide vehicle is a target of more columns than the narrow one.
    assert (targets.weights[0, :32] > 0).sum() > (targets.weights[0, 32:] > 0).sum() >= 1
    assert targets.range_m[0, peaks].tolist() == [9, 40]


def test_loss_is_near_zero_for_the_truth_and_increases_with_any_error():
    truth = labels([NEAR, FAR], [], [FAR])
    predicted = perfect_prediction(truth)
    terms = bearing_loss(predicted, truth, SHAPE)
    best = float(terms['loss'])
    assert float(terms['focal']) < 1e-3
    assert float(terms['huber']) < 1e-3
    assert float(terms['giou']) < 1e-3
    for value, error in enumerate((-20.0, 3.0, 3.0, 3.0, 3.0, 30.0)):
        worse = predicted.clone()
        worse[:, value] += error
        assert float(bearing_loss(worse, truth, SHAPE)['loss']) > best + 0.05


def test_windows_without_vehicles_have_only_a_focal_loss():
    truth = labels([], [])
    terms = bearing_loss(torch.zeros(2, VALUES, 64), truth, SHAPE)
    assert float(terms['focal']) > 1
    assert float(terms['huber']) == float(terms['giou']) == float(terms['range']) == 0


def test_vehicle_outside_the_front_sector_is_not_a_target():
    targets = bearing_targets(labels([(57.0, 0, 4.0, 3.0, 10.0)]), SHAPE)
    assert targets.heat.max() == 0


def test_mirrored_labels_mirror_the_targets():
    truth = labels([NEAR], [NEAR])
    turned = truth.mirrored(torch.tensor([True, False]))
    heat = bearing_targets(turned, SHAPE).heat
    torch.testing.assert_close(heat[0], heat[1].flip(0))


def test_turned_labels_shift_azimuths_and_seen_sector():
    truth = labels_of_camera([NEAR, FAR], [NEAR], seen=(40.0, -80.0))
    turned = truth.turned(torch.tensor([10.0, -5.0]))
    torch.testing.assert_close(turned.angles_deg[0, :2, 0], torch.tensor([30.3, -21.0]))
    torch.testing.assert_close(turned.angles_deg[1, 0, 0], torch.tensor(15.3))
    assert torch.equal(turned.angles_deg[..., 1:], truth.angles_deg[..., 1:])
    # Seen sectors are limited to 56 degrees on both sides before they are turned.
    assert turned.seen_deg.tolist() == [[50, -46], [35, -61]]
    assert labels([NEAR]).turned(torch.tensor([3.0])).seen_deg.tolist() == [[59, -53]]


def test_range_shares_are_split_between_two_bins():
    shares = range_shares(torch.tensor([1.0, 2.0, 9.0, 100.0, 500.0]))
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones(5))
    assert shares[0, 0] == shares[4, RANGE_BINS - 1] == 1
    assert (shares[2] > 0).sum() == 2


def test_generalised_iou_loss_matches_hand_calculation():
    box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    assert float(generalised_iou_loss(box, box)) == 0
    apart = torch.tensor([[4.0, 0.0, 6.0, 2.0]])
    assert float(generalised_iou_loss(box, apart)) == pytest.approx(1 + 4 / 12)


def labels_of_camera(*windows, seen=(20.0, -20.0), unsure=()):
    """Make labels of a camera that sees one sector; ``unsure`` are (window, slot)."""
    truth = labels(*windows)
    doubtful = torch.zeros_like(truth.valid)
    for place in unsure:
        doubtful[place] = True
    return replace(truth, seen_deg=torch.tensor([seen] * len(windows)), unsure=doubtful)


def columns_with_gradient(truth: BearingLabels) -> torch.Tensor:
    predicted = torch.zeros(len(truth.valid), VALUES, 64, requires_grad=True)
    bearing_loss(predicted, truth, SHAPE)['loss'].backward()
    return predicted.grad.abs().sum(dim=1) > 0


def test_directions_outside_the_camera_view_get_no_gradient():
    truth = labels_of_camera(
        [(5.0, -1.0, 6.0, 3.0, 20.0), (19.0, -1.0, 9.0, 5.0, 12.0)], [], seen=(20, -40)
    )
    centres = columns_deg(SHAPE)
    seen = (centres <= 20) & (centres >= -40)
    learned = columns_with_gradient(truth)
    assert learned.tolist() == [seen.tolist()] * 2
    everywhere = columns_with_gradient(labels([FAR], []))
    assert everywhere.all()


def test_columns_of_an_unsure_vehicle_get_no_gradient():
    near, cut = (5.0, -1.0, 4.0, 3.0, 20.0), (14.0, -2.0, 12.0, 8.0, 7.0)
    learned = columns_with_gradient(labels_of_camera([near, cut], unsure=[(0, 1)]))[0]
    centres = columns_deg(SHAPE)
    covered = (centres <= 20.9) & (centres >= 7.1)
    assert not learned[covered].any()
    assert learned[(centres <= 7) & (centres >= -20)].all()
    # A sure vehicle in front of it is still learned.
    small = (13.1, -1.0, 3.0, 2.0, 5.0)
    front = columns_with_gradient(labels_of_camera([small, cut], unsure=[(0, 1)]))[0]
    assert front[(centres - 13.1).abs().argmin()]


def test_unknown_range_adds_no_loss_and_keeps_gradients_finite():
    known, unknown = labels([NEAR]), labels([(*NEAR[:4], float('nan'))])
    predicted = torch.zeros(1, VALUES, 64, requires_grad=True)
    terms = bearing_loss(predicted, unknown, SHAPE)
    assert terms['range'].item() == 0
    terms['loss'].backward()
    assert torch.isfinite(predicted.grad).all()
    assert predicted.grad[:, 5:].abs().sum() == 0
    both = labels([NEAR, (*FAR[:4], float('nan'))])
    assert bearing_loss(predicted, both, SHAPE)['range'].item() == pytest.approx(
        bearing_loss(predicted, known, SHAPE)['range'].item()
    )


def test_mirrored_labels_mirror_the_seen_sector():
    truth = labels_of_camera([NEAR], [NEAR], seen=(30.0, -10.0)).mirrored(
        torch.tensor([True, False])
    )
    assert truth.seen_deg.tolist() == [[10.0, -30.0], [30.0, -10.0]]
