"""Ego speed and air temperature of windows of a bag match the live node and reach the model."""

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


def write_messages(writer, *messages, namespace='/avdet'):
    for message in messages:
        kind = message.__msgtype__
        name = 'odom' if kind == ODOMETRY else 'air_temperature'
        writer.write(f'{namespace}/{name}', kind, serialize(message), stamp_ns(message))


def accelerating(t_s):
    """Position on the road, starting at 20 m/s and accelerating by 4 m/s each second."""
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
            write_messages(writer, *sorted(messages, key=stamp_ns))
        with Bag(path) as bag:
            return BagMotion(bag, '/avdet/audio', 'base_link', 1.0, **options)

    return make


def ends_ns(*seconds):
    return [START_NS + round(t * 1e9) for t in seconds]


def test_speed_is_of_mid_window_and_air_temperature_is_the_latest(motion):
    bag_motion = motion(*GOOD, *AIR)
    found = [bag_motion.at(end) for end in ends_ns(1.0, 1.5, 2.5)]
    assert [speed for speed, _ in found] == pytest.approx([22, 24, 28], abs=0.1)
    assert [air for _, air in found] == [-10, -10, 5]
    assert (bag_motion.topic, bag_motion.windows_with_speed) == ('/avdet/odom', 3)
    assert bag_motion.at(ends_ns(9.0)[0]) == (0.0, 5.0), 'odometry has stopped'
    assert bag_motion.windows_with_speed == 3
    assert 'found nan' in bag_motion.left_out.sentence


def test_drive_motion_returns_odometry_and_median_air_temperature(motion):
    bag_motion = motion(*GOOD, *BAD, *AIR, temperature(9.0, 60.0))
    found = drive_motion(bag_motion, START_NS, START_NS + 3_500_000_000)
    poses = found.odometry
    assert found.air_c == -2.5
    assert poses.stamps_ns.tolist() == [START_NS + 50_000_000 * step for step in range(71)]
    # Odometry ends at 3 s and is extrapolated for half a second.
    np.testing.assert_allclose(poses.ahead_at(ends_ns(0.5, 1.0, 2.5)), [22, 24, 30], atol=0.1)
    np.testing.assert_allclose(poses.x_m[20], accelerating(1.0), atol=0.01)
    assert np.isnan(poses.ahead_mps[-1])
    known = np.isfinite(poses.ahead_mps)
    assert np.flatnonzero(known)[[0, -1]] == pytest.approx([5, 64.5], abs=0.6)
    share = known.sum() / 71
    assert found.sentence == f'own speed from /avdet/odom, known in {share:.0%} of the drive'
    assert bag_motion.left_out.bad == 4


def test_latest_air_temperature_before_the_drive_is_used(motion):
    bag_motion = motion(temperature(0.0, 4.0), temperature(1.0, 5.0), temperature(9.0, 60.0))
    assert drive_motion(bag_motion, START_NS + 2 * 10**9, START_NS + 4 * 10**9).air_c == 5.0


def test_odometry_starts_at_the_first_pose_with_unknown_speed(motion):
    late = [message for message in GOOD if stamp_ns(message) >= START_NS + 1_000_000_000]
    poses = drive_motion(motion(*late), START_NS, START_NS + 3_000_000_000).odometry
    assert poses.stamps_ns[0] == START_NS + 1_000_000_000
    assert np.isnan(poses.ahead_mps[:5]).all()
    assert poses.ahead_mps[5] == pytest.approx(25, abs=0.1)


def test_bag_without_usable_odometry_gives_no_odometry(motion):
    assert drive_motion(motion(*AIR), START_NS, START_NS + 10**9) == DriveMotion(None, -10.0, '')
    other = drive_motion(motion(odometry(0.0, 0.0, child='camera')), START_NS, START_NS + 10**9)
    assert other.odometry is None
    assert other.sentence == 'own speed from /avdet/odom, known in 0% of the drive'


def test_messages_at_the_window_end_are_used(motion):
    bag_motion = motion(odometry(0.0, 0.0), odometry(1.0, 10.0), temperature(1.0, 7.0))
    before, at_end = (bag_motion.at(end) for end in ends_ns(0.999999, 1.0))
    assert before == (0.0, 20.0)
    assert at_end == (pytest.approx(10, abs=0.1), 7.0)
    assert bag_motion.windows_with_speed == 1


def test_bad_odometry_is_reported_and_changes_no_speed(motion):
    good, bag_motion = motion(*GOOD), motion(*GOOD, *BAD)
    for end in ends_ns(1.0, 1.5, 1.8, 2.4):
        assert bag_motion.at(end) == good.at(end)
    assert bag_motion.left_out.bad == 3
    assert good.left_out.sentence is None
    jumping = motion(*GOOD[:15], *(odometry(0.1 * k, 9000.0 + 2 * k) for k in range(15, 31)))
    speeds = [jumping.at(end)[0] for end in ends_ns(1.0, 1.5, 2.0, 2.5)]
    assert max(speeds) < 30
    assert 'expected steps of a vehicle' in jumping.left_out.sentence


def test_odometry_with_restarting_stamps_is_followed(motion, tmp_path):
    with BagWriter(tmp_path / 'again') as writer:
        write_messages(writer, *(odometry(100 + 0.1 * k, k) for k in range(31)))
        for k in range(31):
            message = odometry(0.1 * k, 2 * k)
            writer.write('/avdet/odom', ODOMETRY, serialize(message), START_NS + 200 * 10**9 + k)
    with Bag(tmp_path / 'again') as bag:
        bag_motion = BagMotion(bag, '/avdet/audio', 'base_link', 1.0)
    speeds = [bag_motion.at(end)[0] for end in ends_ns(102.0, 102.5, 2.0, 2.5)]
    assert speeds == pytest.approx([10, 10, 20, 20], abs=0.01)


def test_odometry_topic_is_found_given_or_disabled(motion, tmp_path):
    assert motion(*GOOD, odometry='').topic is None
    with pytest.raises(AvdetError, match='/other'):
        motion(*GOOD, odometry='/other')
    with pytest.raises(AvdetError, match='expected -60 to 70 degrees Celsius, found 300'):
        motion(*GOOD, air_c=300.0)
    standing = motion(*AIR[:1])
    assert (standing.topic, standing.at(START_NS)) == (None, (0.0, -10.0))
    with BagWriter(tmp_path / 'several') as writer:
        for namespace in ('/avdet', '/front', '/rear'):
            write_messages(writer, *GOOD, namespace=namespace)
    with Bag(tmp_path / 'several') as bag:
        assert BagMotion(bag, '/avdet/audio', 'base_link', 1.0).topic == '/avdet/odom'
        with pytest.raises(AvdetError, match='name one with its full name'):
            BagMotion(bag, '/roof/audio', 'base_link', 1.0)


def test_process_bag_passes_speed_and_air_temperature_to_the_detector(
    write_sound, rig, front_end, tmp_path, monkeypatch
):
    path = save_model(steered_response_model(front_end), tmp_path / 'steered.onnx')
    detector = Detector(path, rig, front_end, ['cpu'], threads=1)
    writer = write_sound(tmp_path / 'drive', close=False)
    write_messages(writer, *GOOD, *BAD, *AIR[:1])
    writer.close()
    calls = []
    detect = detector.detect

    def remembering(features, beyond_image, ahead_mps, air_c):
        found = detect(features, beyond_image, ahead_mps, air_c)
        still = detect(features)
        calls.append((ahead_mps, air_c, abs(found.scores[0] - still.scores[0]) > 0))
        return found

    monkeypatch.setattr(detector, 'detect', remembering)
    tracker = IouTracker(new_track_threshold=0.1)
    report = process_bag(tmp_path / 'drive', tmp_path / 'out', rig, front_end, detector, tracker)
    assert len(calls) == report.windows == report.windows_with_speed == 21
    assert [round(each[0]) for each in sorted(calls)][::10] == [22, 26, 30]
    assert all(air == -10 and other for _, air, other in calls)
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['odometry'] == '/avdet/odom'
    assert '3 of 33 messages left out' in summary['odometry_left_out']
    process_bag(
        tmp_path / 'drive', tmp_path / 'standing', rig, front_end, detector, tracker, odometry=''
    )
    assert {each[0] for each in calls[21:]} == {0.0}


def test_live_and_offline_motion_agree(motion):
    """The live node reads messages as they arrive, the bag reader has all recorded ones."""
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
        # Messages arrive 0.2 s late.
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
