"""Markers of boxes and tracks: position, size, colour and label."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker
import yaml

from avdet_ros.drawing.picture import Box
from avdet_ros.drawing.style import colour
from avdet_ros.drawing.trails import ground_place
from avdet_ros.messages.encode import encode_header
from avdet_ros.messages.encode_ground import encode_ground, point_cloud
from avdet_ros.messages.hidden_points import HIDDEN_POINT
from avdet_ros.nodes.ground_markers import GroundMarkers, hidden_markers
from avdet_ros.nodes.markers import cuboid, wedges
from avdet_ros.paths import share
from avdet_ros.rig import load_rig
from avdet_ros.tracking.ground_track import GroundTrack


@pytest.mark.parametrize(('x_m', 'y_m'), [(10.0, 0.0), (20.0, 5.0), (35.0, -8.0)])
def test_near_face_of_the_cuboid_covers_the_image_box(x_m, y_m):
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


def test_every_track_has_wedge_box_and_label():
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


def hidden_message():
    table = np.zeros(1, HIDDEN_POINT)
    table['x'], table['y'], table['z'], table['bearing'], table['id'] = 20, 5, 0.8, 0.245, 7
    table['time_to_sight'] = -1
    return point_cloud(encode_header(round(100e9), 'base_link'), table)


def test_hidden_vehicle_has_an_arrow_towards_it_and_a_label():
    arrow, label = hidden_markers(hidden_message()).markers
    assert (arrow.ns, arrow.type, arrow.id) == ('hidden', Marker.ARROW, 7)
    assert arrow.header.frame_id == label.header.frame_id == 'base_link'
    tail, head = arrow.points
    assert (tail.x, tail.y, head.x, head.y) == (0, 0, 20, 5)
    assert (label.ns, label.text) == ('hidden_words', '#7 heard, not seen, 14 left')


def test_ellipse_contains_90_percent_of_its_distribution():
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


def test_trail_has_the_given_duration_and_is_cleared_when_time_goes_back():
    markers, shown = GroundMarkers(), []
    for step in range(50):
        message = ground_message(np.eye(4), x=20 - 0.1 * step, seconds=100 + 0.1 * step)
        shown = markers.make(message, 2.0).markers
    trail = next(marker for marker in shown if marker.ns == 'trail')
    assert len(trail.points) == 21
    assert trail.points[-1].x == pytest.approx(20 - 4.9)
    again = markers.make(ground_message(np.eye(4), seconds=5.0), 2.0).markers
    assert {marker.ns for marker in again} == {'ellipse', 'box', 'label'}


def rotated_rig(tmp_path):
    """A rig whose camera is off-centre and rotated and has different focal lengths in x and y."""
    tree = yaml.safe_load(share('config/rig.yaml').read_text())
    tree['camera'] |= {'position_m': [1.2, -0.4, 1.6], 'yaw_deg': 20.0, 'pitch_deg': 5.0}
    tree['camera']['focal_px'] = [1000.0, 700.0]
    path = tmp_path / 'rig.yaml'
    path.write_text(yaml.safe_dump(tree))
    return load_rig(path)


def test_wedge_ends_at_its_box_and_spans_its_sides(tmp_path):
    camera = rotated_rig(tmp_path).camera
    corners = [[16.0, 3.5, 0.0], [16.0, 1.5, 1.5]]
    pixels, _ = camera.project(corners)
    x, y = np.sort(pixels[:, 0]), np.sort(pixels[:, 1])
    box = np.array([x[0], y[0], x[1], y[1]])
    head = encode_header(5_000_000_000, 'camera_optical_frame')
    clear, wedge, solid, label = wedges(head, [Box(box, 7, 0.9)], camera).markers
    for marker in (clear, wedge, solid, label):
        assert marker.header == head
    blue, green, red = (part / 255 for part in colour(7))
    for marker, alpha in ((wedge, 0.45), (solid, 0.6), (label, 1.0)):
        paint = marker.color
        assert (paint.r, paint.g, paint.b, paint.a) == pytest.approx((red, green, blue, alpha))
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (0, 500_000_000)
        assert marker.action == Marker.ADD
    assert (wedge.type, solid.type, label.type) == (
        Marker.TRIANGLE_LIST,
        Marker.CUBE,
        Marker.TEXT_VIEW_FACING,
    )
    assert (wedge.pose.orientation.w, label.pose.orientation.w) == (1, 1)
    assert (wedge.scale.x, wedge.scale.y, wedge.scale.z, label.scale.z) == (1, 1, 1, 1.2)
    assert label.text == '#7'

    def on_base(point):
        return camera.rotation.T @ [point.x, point.y, point.z] + camera.position_m

    apex, left, right = map(on_base, wedge.points)
    assert apex == pytest.approx(camera.position_m * [1, 1, 0])
    assert left[2] == pytest.approx(0, abs=1e-9)
    away = np.array([16.0, 2.5]) - camera.position_m[:2]
    for end, column in ((left, x[0]), (right, x[1])):
        foot = ground_place(camera, box, 80.0) - camera.position_m[:2]
        assert np.hypot(*(end[:2] - apex[:2])) == pytest.approx(np.hypot(*foot), rel=1e-6)
        assert np.hypot(*foot) == pytest.approx(np.hypot(*away), rel=0.05)
        ray = camera.directions([column, y.mean()])
        expected = np.arctan2(ray[1], ray[0])
        assert np.arctan2(*(end - apex)[1::-1]) == pytest.approx(expected, abs=1e-6)
    name = on_base(label.pose.position)
    assert name[:2] == pytest.approx([16, 2.5], abs=0.6)
    assert name[2] == pytest.approx(1.5)
    centre, size, quaternion = cuboid(box, camera)
    place, turn = solid.pose.position, solid.pose.orientation
    assert [place.x, place.y, place.z] == centre
    assert [turn.x, turn.y, turn.z, turn.w] == quaternion
    assert [solid.scale.x, solid.scale.y, solid.scale.z] == size


@pytest.mark.parametrize(('width_m', 'length_m'), [(2.9, 4.4), (3.2, 1.9)])
def test_wide_box_is_a_side_view_and_sizes_use_each_focal_length(tmp_path, width_m, length_m):
    camera = rotated_rig(tmp_path).camera
    axis = camera.rotation[2]  # straight ahead of it, on the road
    middle = camera.position_m + axis * 20
    across = camera.rotation[0]
    low = [middle + across * side * width_m / 2 for side in (-1, 1)]
    pixels, _ = camera.project([*low, middle + [0, 0, 1.4], middle])
    foot_px = camera.project([[middle[0], middle[1], 0.0]])[0][0]
    box = np.array([pixels[0, 0], foot_px[1] - 60, pixels[1, 0], foot_px[1]])
    _, size, _ = cuboid(box, camera)
    depth = float(camera.rotation[2] @ ([middle[0], middle[1], 0.0] - camera.position_m))
    assert size[0] == length_m
    assert size[1] == pytest.approx(width_m * depth / 20, rel=0.03)
    assert size[2] == pytest.approx(60 * depth / 700, rel=0.03)


def test_cuboid_sizes_are_bounded():
    camera = load_rig().camera
    _, size, _ = cuboid(np.array([0.0, -400.0, 1920.0, 330.0]), camera)
    assert size == [1.9, 15.0, 5.0]
    _, size, _ = cuboid(np.array([900.0, 499.0, 901.0, 500.0]), camera)
    assert size == [4.4, 0.4, 0.4]


def test_ground_track_has_ellipse_box_label_and_trail():
    maker = GroundMarkers()
    maker.make(ground_message(np.eye(4), x=21.0, y=5.5, seconds=99.9), 3.0)
    message = ground_message(np.diag([1.0, 9.0, 1.0, 1.0]), x=20.0, y=5.0)
    (entry,) = message.detections
    ellipse, box, label, trail = maker.make(message, 3.0).markers
    assert [(m.ns, m.type, m.id) for m in (ellipse, box, label, trail)] == [
        ('ellipse', Marker.CYLINDER, 7),
        ('box', Marker.CUBE, 7),
        ('label', Marker.TEXT_VIEW_FACING, 7),
        ('trail', Marker.LINE_STRIP, 7),
    ]
    blue, green, red = (part / 255 for part in colour(7))
    for marker, alpha in ((ellipse, 0.35), (box, 0.7), (label, 1.0), (trail, 0.8)):
        paint = marker.color
        assert (paint.r, paint.g, paint.b, paint.a) == pytest.approx((red, green, blue, alpha))
        assert marker.header == message.header
        assert marker.lifetime.nanosec == 500_000_000
    place = ellipse.pose.position
    assert (place.x, place.y, place.z) == (20, 5, 0.015)
    assert (ellipse.scale.x, ellipse.scale.z) == pytest.approx((6 * 4.605**0.5, 0.03))
    assert abs(ellipse.pose.orientation.z) == pytest.approx(0.5**0.5)
    assert (box.pose, box.scale) == (entry.bbox.center, entry.bbox.size)
    assert (label.text, label.scale.z) == ('#7 21 m', 1.2)
    place, middle = label.pose.position, entry.bbox.center.position
    assert (place.x, place.y) == (20, 5)
    assert place.z == pytest.approx(middle.z + entry.bbox.size.z)
    assert [(point.x, point.y, point.z) for point in trail.points] == [
        (21, 5.5, 0.03),
        (20, 5, 0.03),
    ]
    assert trail.scale.x == 0.15


def test_returning_vehicle_has_no_old_trail_and_other_ids_become_zero():
    maker = GroundMarkers()
    for seconds in (1.0, 1.1):
        maker.make(ground_message(np.eye(4), seconds=seconds), 3.0)
    empty = ground_message(np.eye(4), seconds=1.2)
    empty.detections = []
    assert maker.make(empty, 3.0).markers == []
    assert len(maker.make(ground_message(np.eye(4), seconds=1.3), 3.0).markers) == 3
    named = ground_message(np.eye(4), seconds=1.4)
    for name, number in (('left', 0), ('1234567890', 0), ('123456789', 123456789)):
        named.detections[0].id = name
        ellipse, _, label = maker.make(named, 3.0).markers
        assert (ellipse.id, label.text) == (number, f'#{name} 21 m')
