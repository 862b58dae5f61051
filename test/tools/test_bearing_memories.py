"""Memories of boxes remember what persists on a plausible path and ignore flashes."""

from __future__ import annotations

from pathlib import Path
import sys

import numpy as np
import pytest

from avdet_ros.evaluation.bearings.metrics import TrueBearings

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
memories = pytest.importorskip('bearing_memories')

WINDOWS = 21
KINDS = {
    'linked': memories.linked(0.9),
    'straight': memories.straight(2.0),
    'tracked': memories.tracked(0.5),
}


def drive(vehicles, yaw_deg_s=0.0):
    """Return two seconds of boxes, 60 px wide, at (azimuth, log odds) by window and vehicle."""
    stamps = np.arange(WINDOWS) * 0.1
    azimuth = [np.array([a for a, _ in vehicles(t)], float) for t in stamps]
    odds = [np.array([o for _, o in vehicles(t)], float) for t in stamps]
    boxes = [
        np.stack([960 - 18 * a - 30, 0 * a + 500, 960 - 18 * a + 30, 0 * a + 540], axis=1)
        for a in azimuth
    ]
    range_m = [np.full(len(a), np.log(20.0)) for a in azimuth]
    no_truth = [TrueBearings()] * WINDOWS
    return memories.DrivePredictions(
        stamps,
        yaw_deg_s * stamps,
        boxes,
        azimuth,
        odds,
        range_m,
        no_truth,
        [np.zeros(0)] * WINDOWS,
    )


@pytest.mark.parametrize('kind', KINDS)
def test_persistent_boxes_are_remembered_and_flashes_are_not(kind):
    def vehicles(t):
        return [(5 - 8 * t, 0.5)] + ([(20.0, 0.4)] if t > 1.95 else [])

    last = KINDS[kind](drive(vehicles))[-1]
    assert last[0] > -2
    # A straight course may cross that of the other vehicle once.
    assert memories.NOTHING <= last[1] < memories.NOTHING + 0.7


@pytest.mark.parametrize('kind', KINDS)
def test_first_window_has_no_memory(kind):
    assert KINDS[kind](drive(lambda _: [(0.0, 1.0)]))[0] == pytest.approx([memories.NOTHING])
    assert [len(each) for each in KINDS[kind](drive(lambda _: []))] == [0] * WINDOWS


@pytest.mark.parametrize('kind', ['linked', 'straight'])
def test_turn_of_the_ego_vehicle_is_compensated(kind):
    """The bearing of a standing vehicle changes by 40 degrees/s as the ego vehicle turns."""
    standing = drive(lambda t: [(40 - 40 * t, 0.5)], yaw_deg_s=40.0)
    unknown = drive(lambda t: [(40 - 40 * t, 0.5)])
    assert KINDS[kind](standing)[-1][0] > KINDS[kind](unknown)[-1][0] + 1
