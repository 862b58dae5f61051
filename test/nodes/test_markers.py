"""Boxes on the road stand where their image boxes are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from avdet_ros.drawing.picture import Box
from avdet_ros.nodes.markers import cuboid, wedges
from avdet_ros.rig import load_rig


@pytest.mark.parametrize(('x_m', 'y_m'), [(10.0, 0.0), (20.0, 5.0), (35.0, -8.0)])
def test_the_near_face_covers_the_image_box(x_m, y_m):
    camera = load_rig().camera
    corners = [[x_m, y_m + 0.9, 0.0], [x_m, y_m - 0.9, 1.5]]
    pixels, _ = camera.project(corners)
    box = np.array([pixels[0, 0], pixels[1, 1], pixels[1, 0], pixels[0, 1]])
    centre, size, quaternion = cuboid(box, camera)
    turn = Rotation.from_quat(quaternion)
    near = np.array(centre) - turn.apply([size[0] / 2, 0, 0])
    base = camera.rotation.T @ near + camera.position_m
    assert np.allclose(base, [x_m, y_m, 0.75], atol=0.15)
    assert np.allclose(size, [4.4, 1.8, 1.5], rtol=0.05)


def test_every_track_has_wedge_box_and_name():
    rig = load_rig()
    boxes = [Box(np.array([900.0, 300, 1000, 360]), 7, 0.9)]
    message = wedges(Header(frame_id='camera_optical_frame'), boxes, rig.camera)
    clear, *markers = message.markers
    assert clear.action == Marker.DELETEALL
    assert {marker.ns for marker in markers} == {'bearing', 'vehicle', 'identity'}
    assert {marker.id for marker in markers} == {7}
