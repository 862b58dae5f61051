"""A false bearing is attributed to a vehicle without a label, to a label, or to nothing."""

from __future__ import annotations

from false_bearings import NO_LABELS, Neighbour, cause, neighbours
import numpy as np
import pytest

from avdet_ros.rig import load_rig
from avdet_ros.simulation.angles import angle_labels
from avdet_ros.simulation.array_windows import WindowPlan, array_of, draw_world, place_array

LABEL = Neighbour(10.0, 30.0, -5.0, 2.0)
FAR = Neighbour(-20.0, 85.0, -9.0, 1.0)
QUIET = Neighbour(-21.0, 40.0, -22.0, 1.0)


@pytest.mark.parametrize(
    ('azimuth_deg', 'expected'),
    [
        (11.0, 'a second one on a label'),
        (18.0, 'next to a label'),
        (-20.5, NO_LABELS[0]),
        (-23.5, NO_LABELS[1]),
        (-40.0, 'nothing near it'),
    ],
)
def test_loudest_vehicle_near_a_bearing_is_its_cause(azimuth_deg, expected):
    vehicles = [LABEL, QUIET, FAR]
    assert cause(azimuth_deg, np.array([LABEL.azimuth_deg]), vehicles) == expected


def test_empty_window_gives_no_cause():
    assert cause(0.0, np.zeros(0), []) == 'nothing near it'


def test_labelled_vehicles_are_found_at_their_labels():
    base, plan, labels = load_rig(), WindowPlan(), 0
    for seed in range(100_000, 100_006):
        scene = place_array(draw_world(seed, base, plan), array_of(seed, base, plan))
        found = neighbours(scene, 2.0)
        for azimuth_deg in angle_labels(scene, 2.0).azimuth_deg:
            labels += 1
            same = [its for its in found if abs(its.azimuth_deg - azimuth_deg) < 8]
            assert any(its.label_status == 'a second one on a label' for its in same)
    assert labels
