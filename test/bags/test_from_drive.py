"""A simulated drive is unchanged after conversion to a bag and back."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
import soundfile

from avdet_ros.bags.array_motion import BagMotion
from avdet_ros.bags.dataset import convert
from avdet_ros.bags.from_drive import TOPICS, drive_to_bag
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.bags.truth import RecordedTruth
from avdet_ros.bags.writer import BagWriter
from avdet_ros.dataset import layout
from avdet_ros.dataset.odometry import (
    FILE,
    Odometry,
    read_air_c,
    read_odometry,
    write_odometry,
)
from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import DETECTIONS, decode_odometry, stamp_ns
from avdet_ros.messages.encode_offline import make_detections, make_header
from avdet_ros.messages.typestore import serialize
from avdet_ros.rig import default_rig_path, load_rig

START_NS = 1_700_000_000_000_000_000


def straight_on(count, ahead_mps=10.0):
    """Poses 50 ms apart of a vehicle driving north-west at constant speed."""
    steps, yaw = np.arange(count), np.full(count, 3 * np.pi / 4)
    stamps = START_NS + steps * 50_000_000
    gone = ahead_mps * 0.05 * steps
    speeds = np.full(count, ahead_mps)
    return Odometry(stamps, gone * np.cos(yaw), gone * np.sin(yaw), yaw, speeds)


@pytest.fixture
def drive(tmp_path, waveform):
    """Three seconds in the layout that `avdet sim drives` writes, with small stand-in pictures."""
    folder = tmp_path / 'set' / 'drive_day_1'
    for name in ('fl_rgb', 'fl_ir_aligned', 'truth'):
        (folder / name).mkdir(parents=True)
    soundfile.write(folder / layout.DRIVE_SOUND, waveform, 44100, subtype='PCM_16')
    (folder / 'parameters.json').write_text(f'{{"start_ns": {START_NS}, "temperature_c": -4.5}}')
    write_odometry(folder, straight_on(60))
    (folder / 'rig.yaml').write_text(default_rig_path().read_text())
    lines = []
    for index in range(5):
        frame = layout.make_id(folder.name, START_NS + 500_000_000 * (index + 1))
        rgb = np.full((650, 1920, 3), 20 * index, np.uint8)
        cv2.imwrite(str(layout.picture_path(folder.parent, frame, 'rgb', '.jpg')), rgb)
        counts = np.full((650, 1920), 22000 + index, np.uint16)
        cv2.imwrite(str(layout.picture_path(folder.parent, frame, 'thermal', '.png')), counts)
        lines.append(
            f'{{"stamp": "{frame.stamp}", "boxes_px": [[1, 2, 3, {index + 4}], [5, 5, 9, 9]], '
            f'"ids": [3, 8], "label": [true, false]}}\n'
        )
    (folder / 'truth' / 'frames.jsonl').write_text(''.join(lines))
    return folder


def test_drive_survives_the_round_trip_through_a_bag(drive, tmp_path):
    counts = drive_to_bag(drive, tmp_path / 'drive_day_1')
    assert counts['/avdet/audio'] == 130
    assert counts[TOPICS['rgb']] == counts[TOPICS['thermal']] == 5
    assert TOPICS['depth'] not in counts
    topics = {kind: TOPICS[kind] for kind in ('rgb', 'thermal')}
    (report,) = convert([tmp_path / 'drive_day_1'], tmp_path / 'back', topics)
    assert (report.frames, report.with_truth, report.missing) == (5, 5, {})
    assert report.motion == 'own speed from /avdet/odom, known in 92% of the drive'
    back = tmp_path / 'back' / 'drive_day_1'
    poses = read_odometry(back)
    assert poses.stamps_ns[:2].tolist() == [START_NS, START_NS + 50_000_000]
    middles = START_NS + np.arange(500, 2600, 100) * 1_000_000
    np.testing.assert_allclose(poses.ahead_at(middles), 10, atol=0.01)
    assert read_air_c(back) == -4.5
    ids = layout.read_ids(tmp_path / 'back' / 'train_all.txt')
    truth = layout.read_truth(tmp_path / 'back', 'drive_day_1')
    for index, frame in enumerate(ids):
        before = layout.read_sound(drive.parent, frame)
        assert np.array_equal(layout.read_sound(tmp_path / 'back', frame), before)
        counts = layout.read_picture(tmp_path / 'back', frame, 'thermal')
        assert np.all(counts == 22000 + index)
        assert truth[frame.stamp]['boxes_px'].tolist() == [[1, 2, 3, index + 4]]
    rig, other = load_rig(), load_rig(tmp_path / 'back' / 'drive_day_1' / 'rig.yaml')
    assert np.allclose(other.camera.rotation, rig.camera.rotation, atol=1e-9)
    assert np.allclose(other.microphones_m, rig.microphones_m)


def test_camera_info_and_static_tf_match_the_rig(drive, tmp_path):
    text = default_rig_path().read_text()
    text = re.sub(r'focal_px: .*', 'focal_px: [1000.0, 980.0]', text)
    (drive / 'rig.yaml').write_text(text)
    rig = load_rig(drive / 'rig.yaml')
    assert rig.camera.fy == 980
    drive_to_bag(drive, tmp_path / 'bag')
    with Bag(tmp_path / 'bag') as bag:
        (info,) = (decode(message) for message in bag.messages(['/camera/camera_info']))
        (tree,) = (decode(message) for message in bag.messages(['/tf_static']))
        audio = list(bag.messages(['/avdet/audio']))
        assert '/tf_static' in bag.latched
    cx, cy = rig.camera.cx, rig.camera.cy
    assert info.k.tolist() == [1000, 0, cx, 0, 980, cy, 0, 0, 1]
    assert info.p.tolist() == [1000, 0, cx, 0, 0, 980, cy, 0, 0, 0, 1, 0]
    assert (info.width, info.height, info.binning_x, info.binning_y) == (1920, 650, 0, 0)
    assert (info.r.tolist(), info.d.tolist()) == (np.eye(3).ravel().tolist(), [0] * 5)
    roi = info.roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (0, 0, 0, 0)
    assert not roi.do_rectify
    assert (info.distortion_model, info.header.frame_id) == ('plumb_bob', rig.camera.frame_id)
    camera, array = tree.transforms
    assert (camera.child_frame_id, array.child_frame_id) == (
        rig.camera.frame_id,
        rig.array_frame_id,
    )
    assert camera.header.frame_id == array.header.frame_id == rig.frame_id
    place = camera.transform.translation
    assert [place.x, place.y, place.z] == pytest.approx(rig.camera.position_m)
    turn = camera.transform.rotation
    matrix = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    assert matrix == pytest.approx(rig.camera.rotation.T, abs=1e-9)
    # A block is received after its last sample, but stamped with the time of its first.
    assert stamp_ns(decode(audio[1])) == START_NS + round(1024e9 / 44100)
    assert audio[0].stamp_ns == START_NS + round(1024e9 / 44100)


def test_bag_has_odometry_and_air_temperature_of_the_drive(drive, tmp_path):
    counts = drive_to_bag(drive, tmp_path / 'bag')
    assert (counts['/avdet/odom'], counts['/avdet/air_temperature']) == (60, 3)
    with Bag(tmp_path / 'bag') as bag:
        odom = [decode(message) for message in bag.messages(['/avdet/odom'])]
        motion = BagMotion(bag, '/avdet/audio', 'base_link', 1.0)
    ends_ns = [START_NS + round(end_s * 1e9) for end_s in (1.0, 1.5, 2.8)]
    motions = [motion.at(end_ns) for end_ns in ends_ns]
    assert [speed for speed, _ in motions] == pytest.approx([10, 10, 10], abs=1e-3)
    assert {air for _, air in motions} == {-4.5}
    assert motion.left_out.sentence is None
    message = odom[20]
    assert stamp_ns(message) == START_NS + 1_000_000_000
    assert (message.header.frame_id, message.child_frame_id) == ('odom', 'base_link')
    x_m, y_m, yaw_rad = decode_odometry(message, 'base_link', 'odom')
    assert (x_m, y_m) == pytest.approx((-(50**0.5), 50**0.5), abs=1e-3)
    assert yaw_rad == pytest.approx(3 * np.pi / 4, abs=1e-5)
    twist = message.twist.twist
    assert (twist.linear.x, twist.linear.y) == (10, 0)
    assert twist.angular.z == pytest.approx(0, abs=1e-9)


def test_drive_without_odometry_and_temperature_gives_neither_topic(drive, tmp_path):
    (drive / FILE).unlink()
    (drive / 'parameters.json').write_text(f'{{"start_ns": {START_NS}}}')
    counts = drive_to_bag(drive, tmp_path / 'bag')
    assert not {'/avdet/odom', '/avdet/air_temperature'} & set(counts)


def test_folder_without_a_drive_is_rejected(tmp_path):
    with pytest.raises(AvdetError, match=r'drive\.flac'):
        drive_to_bag(tmp_path, tmp_path / 'bag')


def test_true_boxes_with_missing_or_duplicate_ids_are_kept(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for index in range(2):
            now = START_NS + index * 100_000_000
            boxes = np.arange(16, dtype=np.float32).reshape(4, 4)
            found = Detections(boxes, np.ones(4, np.float32))
            message = make_detections(make_header(now, 'cam'), found)
            for entry, name in zip(message.detections, ('', '', 'car', 'car'), strict=True):
                entry.id = name
            writer.write('/avdet/truth', DETECTIONS, serialize(message), now)
    with Bag(tmp_path / 'bag') as bag:
        truth = RecordedTruth(bag, '/avdet/truth')
    for instant_ns in (START_NS, START_NS + 40_000_000, START_NS + 90_000_000):
        boxes, ids = truth.at(instant_ns)
        assert sorted(ids) == [-1, -1, -1, 0]
        assert sorted(boxes[:, 0].tolist()) == [0, 4, 8, 12]


def test_truth_between_two_instants_is_interpolated(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for index, ids in enumerate((['car', '2'], ['car'], ['car', '3'])):
            now = START_NS + index * 100_000_000
            boxes = np.full((len(ids), 4), 10.0 * index, np.float32)
            scores = np.ones(len(ids), np.float32)
            message = make_detections(make_header(now, 'cam'), Detections(boxes, scores))
            for entry, name in zip(message.detections, ids, strict=True):
                entry.id = name
            writer.write('/avdet/truth', DETECTIONS, serialize(message), now)
    with Bag(tmp_path / 'bag') as bag:
        truth = RecordedTruth(bag, '/avdet/truth')
    boxes, ids = truth.at(START_NS + 30_000_000)
    assert ids == [0, 1]
    assert np.allclose(boxes[0], 3.0)
    boxes, ids = truth.at(START_NS + 170_000_000)
    assert ids == [0, 2]
    assert np.allclose(boxes[0], 17.0)
    assert truth.at(START_NS)[1] == [0, 1]
    assert truth.at(START_NS - 50_000_000) is None
    assert truth.at(START_NS + 250_000_000) is None
