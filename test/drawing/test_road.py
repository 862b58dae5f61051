"""The drawn road and its bearing labels."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.drawing.road import bearing_label, draw_road, ground_points, horizon_y


def test_horizon_separates_sky_and_road_at_principal_point(rig):
    road = draw_road(rig.camera)
    assert road.shape == (650, 1920, 3)
    assert horizon_y(rig.camera) == pytest.approx(rig.camera.cy, abs=0.1)
    sky, ground = road[290, 5].astype(int), road[310, 5].astype(int)
    assert sky[0] > ground[0] + 20  # blue above, asphalt below


@pytest.mark.parametrize(('bearing_deg', 'label'), [(30, '30 left'), (0, '0'), (-30, '30 right')])
def test_bearing_label_names_side_of_bearing(rig, bearing_deg, label):
    angle = np.radians(bearing_deg)
    ahead = rig.camera.position_m[:2] + 100 * np.array([[np.cos(angle), np.sin(angle)]])
    ((x, _),) = ground_points(rig.camera, ahead)
    assert np.sign(np.round(rig.camera.cx - x)) == np.sign(bearing_deg)  # left in the picture
    assert bearing_label(bearing_deg) == label
