"""Boxes on the road stand where their image boxes are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from avdet_ros.drawing.picture import Box
from avdet_ros.messages.encode import encode_header
from avdet_ros.messages.encode_ground import encode_ground
from avdet_ros.nodes.ground_markers import GroundMarkers
from avdet_ros.nodes.markers import cuboid, wedges
from avdet_ros.rig import load_rig
from avdet_ros.tracking.ground_track import GroundTrack


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


def ground_message(covariance, x=20.0, y=5.0, seconds=100.0):
    track = GroundTrack(
        7, np.array([x, y]), np.zeros(2), covariance, np.array([2.0, 1.5]), 0.8, 1.0, 0.0, True
    )
    return encode_ground(encode_header(round(seconds * 1e9), 'base_link'), [track])


def test_an_ellipse_holds_90_percent_of_its_distribution():
    spread = np.diag([4.0, 1.0, 1.0, 1.0])
    turn = np.kron(np.eye(2), [[0.6, -0.8], [0.8, 0.6]])
    markers = GroundMarkers().make(ground_message(turn @ spread @ turn.T), 3.0).markers
    ellipse = next(marker for marker in markers if marker.ns == 'ellipse')
    angle = 2 * np.arctan2(ellipse.pose.orientation.z, ellipse.pose.orientation.w)
    assert np.tan(angle) == pytest.approx(0.8 / 0.6, rel=1e-6)
    assert (ellipse.scale.x, ellipse.scale.y) == pytest.approx((4 * 4.605**0.5, 2 * 4.605**0.5))
    samples = np.random.default_rng(3).multivariate_normal([0, 0], np.diag([4.0, 1.0]), 40_000)
    inside = (samples / [ellipse.scale.x / 2, ellipse.scale.y / 2]) ** 2
    assert np.mean(inside.sum(axis=1) < 1) == pytest.approx(0.9, abs=0.01)


def test_a_trail_is_as_long_as_asked_for_and_ends_when_time_goes_back():
    markers, shown = GroundMarkers(), []
    for step in range(50):
        message = ground_message(np.eye(4), x=20 - 0.1 * step, seconds=100 + 0.1 * step)
        shown = markers.make(message, 2.0).markers
    trail = next(marker for marker in shown if marker.ns == 'trail')
    assert len(trail.points) == 21
    assert trail.points[-1].x == pytest.approx(20 - 4.9)
    again = markers.make(ground_message(np.eye(4), seconds=5.0), 2.0).markers
    assert {marker.ns for marker in again} == {'ellipse', 'box', 'label'}
