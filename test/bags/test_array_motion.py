"""Own speed and air of a bag's windows: as the live node has them, and into the steering."""

from __future__ import annotations

import json
from types import SimpleNamespace

from helpers.array_models import steered_response_model
from helpers.models import save_model
import numpy as np
import pytest

from avdet_ros.bags.array_motion import BagMotion
from avdet_ros.bags.drive_motion import DriveMotion, drive_motion
from avdet_ros.bags.process import process_bag
from avdet_ros.bags.reader import Bag
from avdet_ros.bags.writer import BagWriter
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import ODOMETRY, TEMPERATURE, stamp_ns
from avdet_ros.messages.encode_offline import make_header
from avdet_ros.messages.typestore import serialize, typestore
from avdet_ros.tracking.iou import IouTracker

START_NS = 1_700_000_000_000_000_000


def odometry(t_s, x_m, child='base_link', w=1.0):
    types = typestore().types
    zero, none = types['geometry_msgs/msg/Vector3'](0.0, 0.0, 0.0), np.zeros(36)
    pose = types['geometry_msgs/msg/Pose'](
        types['geometry_msgs/msg/Point'](float(x_m), 0.0, 0.0),
        types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, w),
    )
    return types[ODOMETRY](
        make_header(START_NS + round(t_s * 1e9), 'odom'),
        child,
        types['geometry_msgs/msg/PoseWithCovariance'](pose, none),
        types['geometry_msgs/msg/TwistWithCovariance'](
            types['geometry_msgs/msg/Twist'](zero, zero), none
        ),
    )


def temperature(t_s, celsius):
    header = make_header(START_NS + round(t_s * 1e9), 'air')
    return typestore().types[TEMPERATURE](header, celsius, 0.0)


def put(writer, *messages, namespace='/avdet'):
    for message in messages:
        kind = message.__msgtype__
        name = 'odom' if kind == ODOMETRY else 'air_temperature'
        writer.write(f'{namespace}/{name}', kind, serialize(message), stamp_ns(message))


def accelerating(t_s):
    """Place on the road, from 20 m/s and faster by 4 m/s each second."""
    return 20 * t_s + 2 * t_s**2


GOOD = [odometry(0.1 * step, accelerating(0.1 * step)) for step in range(31)]
BAD = [
    odometry(1.21, float('nan')),
    odometry(1.22, 0.0, child='camera'),
    odometry(1.23, 30.0, w=float('nan')),
]
AIR = [temperature(0.0, -10.0), temperature(1.05, float('nan')), temperature(2.0, 5.0)]


@pytest.fixture
def motion(tmp_path):
    def make(*messages, **options):
        path = tmp_path / f'bag_{len(list(tmp_path.iterdir()))}'
        with BagWriter(path) as writer:
            put(writer, *sorted(messages, key=stamp_ns))
        with Bag(path) as bag:
            return BagMotion(bag, '/avdet/audio', 'base_link', 1.0, **options)

    return make


def ends_ns(*seconds):
    return [START_NS + round(t * 1e9) for t in seconds]


def test_the_speed_is_that_of_the_middle_of_a_window_and_the_air_the_newest(motion):
    its = motion(*GOOD, *AIR)
    found = [its.at(end) for end in ends_ns(1.0, 1.5, 2.5)]
    assert [speed for speed, _ in found] == pytest.approx([22, 24, 28], abs=0.1)
    assert [air for _, air in found] == [-10, -10, 5]
    assert (its.topic, its.known) == ('/avdet/odom', 3)
    assert its.at(ends_ns(9.0)[0]) == (0.0, 5.0), 'odometry has stopped'
    assert its.known == 3
    assert 'found nan' in its.left_out.sentence


def test_a_drive_of_a_bag_keeps_its_way_and_the_middle_of_its_temperatures(motion):
    its = motion(*GOOD, *BAD, *AIR, temperature(9.0, 60.0))
    found = drive_motion(its, START_NS, START_NS + 3_500_000_000)
    way = found.odometry
    assert found.air_c == -2.5
    assert way.stamps_ns.tolist() == [START_NS + 50_000_000 * step for step in range(71)]
    # The way ends at 3 s and is carried on for half a second.
    np.testing.assert_allclose(way.ahead_at(ends_ns(0.5, 1.0, 2.5)), [22, 24, 30], atol=0.1)
    np.testing.assert_allclose(way.x_m[20], accelerating(1.0), atol=0.01)
    assert np.isnan(way.ahead_mps[-1])
    known = np.isfinite(way.ahead_mps)
    assert np.flatnonzero(known)[[0, -1]] == pytest.approx([5, 64.5], abs=0.6)
    share = known.sum() / 71
    assert found.sentence == f'own speed from /avdet/odom, known in {share:.0%} of the drive'
    assert its.left_out.bad == 4


def test_air_that_was_told_before_the_drive_holds(motion):
    its = motion(temperature(0.0, 4.0), temperature(1.0, 5.0), temperature(9.0, 60.0))
    assert drive_motion(its, START_NS + 2 * 10**9, START_NS + 4 * 10**9).air_c == 5.0


def test_before_the_first_pose_nothing_is_known(motion):
    late = [message for message in GOOD if stamp_ns(message) >= START_NS + 1_000_000_000]
    way = drive_motion(motion(*late), START_NS, START_NS + 3_000_000_000).odometry
    assert way.stamps_ns[0] == START_NS + 1_000_000_000
    assert np.isnan(way.ahead_mps[:5]).all()
    assert way.ahead_mps[5] == pytest.approx(25, abs=0.1)


def test_a_bag_without_a_way_makes_a_drive_without_one(motion):
    assert drive_motion(motion(*AIR), START_NS, START_NS + 10**9) == DriveMotion(None, -10.0, '')
    other = drive_motion(motion(odometry(0.0, 0.0, child='camera')), START_NS, START_NS + 10**9)
    assert other.odometry is None
    assert other.sentence == 'own speed from /avdet/odom, known in 0% of the drive'


def test_what_comes_at_a_windows_very_end_is_known(motion):
    its = motion(odometry(0.0, 0.0), odometry(1.0, 10.0), temperature(1.0, 7.0))
    before, at_end = (its.at(end) for end in ends_ns(0.999999, 1.0))
    assert before == (0.0, 20.0)
    assert at_end == (pytest.approx(10, abs=0.1), 7.0)
    assert its.known == 1


def test_bad_odometry_is_one_sentence_and_changes_no_speed(motion):
    good, its = motion(*GOOD), motion(*GOOD, *BAD)
    for end in ends_ns(1.0, 1.5, 1.8, 2.4):
        assert its.at(end) == good.at(end)
    assert its.left_out.bad == 3
    assert good.left_out.sentence is None
    jumping = motion(*GOOD[:15], *(odometry(0.1 * k, 9000.0 + 2 * k) for k in range(15, 31)))
    speeds = [jumping.at(end)[0] for end in ends_ns(1.0, 1.5, 2.0, 2.5)]
    assert max(speeds) < 30
    assert 'expected steps of a vehicle' in jumping.left_out.sentence


def test_stamps_that_begin_anew_are_followed(motion, tmp_path):
    with BagWriter(tmp_path / 'again') as writer:
        put(writer, *(odometry(100 + 0.1 * k, k) for k in range(31)))
        for k in range(31):
            message = odometry(0.1 * k, 2 * k)
            writer.write('/avdet/odom', ODOMETRY, serialize(message), START_NS + 200 * 10**9 + k)
    with Bag(tmp_path / 'again') as bag:
        its = BagMotion(bag, '/avdet/audio', 'base_link', 1.0)
    speeds = [its.at(end)[0] for end in ends_ns(102.0, 102.5, 2.0, 2.5)]
    assert speeds == pytest.approx([10, 10, 20, 20], abs=0.01)


def test_odometry_is_found_named_or_left(motion, tmp_path):
    assert motion(*GOOD, odometry='').topic is None
    with pytest.raises(AvdetError, match='/other'):
        motion(*GOOD, odometry='/other')
    with pytest.raises(AvdetError, match='expected -60 to 70 degrees Celsius, found 300'):
        motion(*GOOD, air_c=300.0)
    standing = motion(*AIR[:1])
    assert (standing.topic, standing.at(START_NS)) == (None, (0.0, -10.0))
    with BagWriter(tmp_path / 'several') as writer:
        for namespace in ('/avdet', '/front', '/rear'):
            put(writer, *GOOD, namespace=namespace)
    with Bag(tmp_path / 'several') as bag:
        assert BagMotion(bag, '/avdet/audio', 'base_link', 1.0).topic == '/avdet/odom'
        with pytest.raises(AvdetError, match='name one with its full name'):
            BagMotion(bag, '/roof/audio', 'base_link', 1.0)


def test_a_bag_is_heard_with_its_speed_as_the_drive_was(
    write_sound, rig, front_end, tmp_path, monkeypatch
):
    path = save_model(steered_response_model(front_end), tmp_path / 'steered.onnx')
    detector = Detector(path, rig, front_end, ['cpu'], threads=1)
    writer = write_sound(tmp_path / 'drive', close=False)
    put(writer, *GOOD, *BAD, *AIR[:1])
    writer.close()
    told = []
    detect = detector.detect

    def remembering(features, beyond_image, ahead_mps, air_c):
        found = detect(features, beyond_image, ahead_mps, air_c)
        still = detect(features)
        told.append((ahead_mps, air_c, abs(found.scores[0] - still.scores[0]) > 0))
        return found

    monkeypatch.setattr(detector, 'detect', remembering)
    tracker = IouTracker(new_track_threshold=0.1)
    report = process_bag(tmp_path / 'drive', tmp_path / 'out', rig, front_end, detector, tracker)
    assert len(told) == report.windows == report.windows_with_speed == 21
    assert [round(each[0]) for each in sorted(told)][::10] == [22, 26, 30]
    assert all(air == -10 and other for _, air, other in told)
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['odometry'] == '/avdet/odom'
    assert '3 of 33 messages left out' in summary['odometry_left_out']
    process_bag(
        tmp_path / 'drive', tmp_path / 'standing', rig, front_end, detector, tracker, odometry=''
    )
    assert {each[0] for each in told[21:]} == {0.0}


def test_live_and_offline_are_told_the_same(motion):
    """The node's reader gets the messages as they come, the bag's all that were recorded."""
    pytest.importorskip('rclpy')
    from geometry_msgs.msg import Quaternion
    from nav_msgs.msg import Odometry
    from sensor_msgs.msg import Temperature

    from avdet_ros.messages.encode import encode_header
    from avdet_ros.nodes.array_motion import ArrayMotion

    parameters = {'ego_motion': 'none', 'odom_frame': 'odom', 'air_temperature_c': 20.0}
    node = SimpleNamespace(
        p=parameters, refuse=lambda *_: None, create_subscription=lambda *_: None
    )
    live = ArrayMotion(node, 'base_link', 1.0)
    offline = motion(*GOOD, *BAD, *AIR)
    messages = sorted([*GOOD, *BAD, *AIR], key=stamp_ns)
    for end_ns in ends_ns(*np.arange(1.0, 3.6, 0.1).round(3)):
        # Odometry comes a fifth of a second late.
        while messages and stamp_ns(messages[0]) <= end_ns - 2e8:
            message = messages.pop(0)
            head = encode_header(stamp_ns(message), message.header.frame_id)
            if message.__msgtype__ == TEMPERATURE:
                live._on_air(Temperature(header=head, temperature=message.temperature))
                continue
            copy = Odometry(header=head, child_frame_id=message.child_frame_id)
            copy.pose.pose.position.x = message.pose.pose.position.x
            copy.pose.pose.orientation = Quaternion(w=message.pose.pose.orientation.w)
            live._ego._on_odometry(copy)
        speed_mps, air_c = offline.at(end_ns)
        assert live.at(end_ns)[0] == pytest.approx(speed_mps, abs=1e-9)
        assert live.at(end_ns)[1] in (air_c, -10.0)
