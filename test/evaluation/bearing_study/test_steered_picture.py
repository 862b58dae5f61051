"""The steered response follows a passing car, and best with the array's true geometry."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from avdet_ros.evaluation.bearing_study.steered_picture import (
    COLUMNS,
    FRONT_DEG,
    passing_car,
    steered_picture,
    steered_response,
    true_azimuths,
)
from avdet_ros.simulation.conditions import true_array, true_rig


@pytest.fixture(scope='module')
def passing(rig):
    return passing_car(rig)


@pytest.mark.slow
def test_the_response_is_on_the_car_and_stronger_with_the_true_geometry(passing, rig):
    columns_deg = FRONT_DEG - (np.arange(COLUMNS) + 0.5) * 2 * FRONT_DEG / COLUMNS
    true_s, true_deg, ids = true_azimuths(passing)
    crossing = ids == 7
    off, strength = {}, {}
    for name, its in (('file', rig), ('true', true_rig(rig, true_array(passing)))):
        times_s, response = steered_response(passing, its)
        assert response.shape == (COLUMNS, len(times_s))
        # Nine windows of 172 frames each.
        assert len(times_s) == int(9 * 172 * 256 / 4410)
        found_deg = columns_deg[response.argmax(axis=0)]
        at = [int(np.argmin(np.abs(times_s - t))) for t in true_s[crossing]]
        off[name] = np.median(np.abs(found_deg[at] - true_deg[crossing]))
        strength[name] = response.max(axis=0)[at].mean()
    assert off['true'] < 2
    assert strength['true'] > strength['file'] + 0.02


@pytest.mark.slow
def test_a_picture_has_a_panel_for_each_rig(passing, rig):
    one = steered_picture(passing, {'as the rig file says': rig})
    two = steered_picture(passing, {'one': rig, 'other': rig})
    sizes = [
        cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape for png in (one, two)
    ]
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] > 1.5 * sizes[0][1]
    assert len(two) < 400_000
