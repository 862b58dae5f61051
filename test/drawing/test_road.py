"""The drawn road."""

from __future__ import annotations

import pytest

from avdet_ros.drawing.road import draw_road, horizon_y


def test_the_horizon_is_where_the_camera_says(rig):
    road = draw_road(rig.camera)
    assert road.shape == (650, 1920, 3)
    assert horizon_y(rig.camera) == pytest.approx(rig.camera.cy, abs=0.1)
    sky, ground = road[290, 5].astype(int), road[310, 5].astype(int)
    assert sky[0] > ground[0] + 20  # blue above, asphalt below
