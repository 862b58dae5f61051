"""Calibration input is read from bags, drives and sound files."""

from __future__ import annotations

import json

from helpers.driving_sound import RATE, driving_sound, small_rig, traffic_azimuths
import numpy as np
import pytest
import soundfile

from avdet_ros.bags.driving import ODOMETRY, drive_rig, read_driving
from avdet_ros.bags.writer import BagWriter
from avdet_ros.dataset.odometry import Odometry, write_odometry
from avdet_ros.errors import AvdetError
from avdet_ros.messages.encode_offline import make_header
from avdet_ros.messages.typestore import serialize, typestore

SECONDS = 24


@pytest.fixture(scope='module')
def small():
    return small_rig()


@pytest.fixture(scope='module')
def sound(small):
    heard = driving_sound(small, traffic_azimuths(SECONDS, 0))
    return np.round(heard.clip(-1, 1) * 32767).astype(np.int16)


@pytest.fixture
def wav(tmp_path, sound):
    soundfile.write(tmp_path / 'sound.wav', sound, RATE, subtype='PCM_16')
    return tmp_path / 'sound.wav'


def odometry(stamp_ns, speed_mps):
    """An odometry message of a vehicle driving straight ahead."""
    types = typestore().types
    vector, pose = types['geometry_msgs/msg/Vector3'], types['geometry_msgs/msg/Pose']
    zero = vector(0.0, 0.0, 0.0)
    place = pose(
        types['geometry_msgs/msg/Point'](0.0, 0.0, 0.0),
        types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0),
    )
    none = np.zeros(36)
    return types[ODOMETRY](
        make_header(stamp_ns, 'odom'),
        'base_link',
        types['geometry_msgs/msg/PoseWithCovariance'](place, none),
        types['geometry_msgs/msg/TwistWithCovariance'](
            types['geometry_msgs/msg/Twist'](vector(speed_mps, 0.0, 0.0), zero), none
        ),
    )


def test_sound_file_has_no_speeds_or_sightings(small, wav):
    driving = read_driving([wav], small)
    assert driving.sightings is None
    assert np.isnan(driving.speeds_mps).all()
    assert driving.fronts.seconds == pytest.approx(SECONDS)
    assert len(driving.fronts.time_s) == len(driving.speeds_mps) > 60
    assert (read_driving([wav], small, speed_mps=5.0).speeds_mps == 5).all()


def test_bag_that_changes_its_rate_is_rejected_naming_both_rates(small, write_sound, tmp_path):
    """Ten seconds at the sample rate of the rig, then at twice that rate."""
    block, turn = 1024, 10 * RATE // 1024
    steps = [(1 if i < turn else 0.5) * block * 1e9 / RATE for i in range(4 * turn)]
    stamps = [1_700_000_000_000_000_000 + round(ns) for ns in np.cumsum([0, *steps[:-1]])]
    quiet = np.random.default_rng(1).integers(-9, 9, (4 * turn * block, 8)).astype(np.int16)
    write_sound(tmp_path / 'bag', quiet, stamps_ns=stamps)
    words = (
        f'/avdet/audio: expected {RATE} samples a second as the rig says, found about {2 * RATE}'
    )
    with pytest.raises(AvdetError, match=words):
        read_driving([tmp_path / 'bag'], small)


def test_recordings_are_joined_in_sequence(small, wav):
    one, two = read_driving([wav], small).fronts, read_driving([wav, wav], small).fronts
    assert two.seconds == pytest.approx(2 * SECONDS)
    half = len(one.time_s)
    np.testing.assert_allclose(two.time_s[half:], one.time_s + SECONDS)
    np.testing.assert_array_equal(two.vectors[half:], one.vectors)


def test_bag_gives_the_same_wave_fronts_as_a_sound_file(small, sound, wav, write_sound, tmp_path):
    begin_ns = 1_700_000_000_000_000_000
    write_sound(tmp_path / 'bag', sound, rate_hz=RATE, stamp_ns=begin_ns, drop=range(100, 108))
    plain, file = read_driving([tmp_path / 'bag'], small), read_driving([wav], small)
    assert np.isnan(plain.speeds_mps).all()
    assert plain.fronts.seconds == pytest.approx(SECONDS, abs=0.1)
    # Half a second is missing in the middle; the sound before and after it is the same.
    assert plain.fronts.time_s[0] == file.fronts.time_s[0]
    assert len(plain.fronts.time_s) in range(len(file.fronts.time_s) - 4, len(file.fronts.time_s))
    assert plain.fronts.time_s[-1] == pytest.approx(file.fronts.time_s[-1], abs=0.3)


def test_bag_odometry_gives_the_speed(small, sound, write_sound, tmp_path):
    begin_ns = 1_700_000_000_000_000_000
    writer = write_sound(tmp_path / 'bag', sound, rate_hz=RATE, stamp_ns=begin_ns, close=False)
    for tenth in range(10 * SECONDS):
        stamp_ns = begin_ns + tenth * 100_000_000
        message = odometry(stamp_ns, 0.1 * tenth)
        writer.write('/odom', ODOMETRY, serialize(message), stamp_ns)
    writer.close()
    driving = read_driving([tmp_path / 'bag'], small)
    np.testing.assert_allclose(driving.speeds_mps, driving.fronts.time_s, atol=0.01)


def test_drive_truth_gives_camera_sightings(small, sound, tmp_path):
    folder = tmp_path / 'drive_day_2030_01_01_10_00_00'
    (folder / 'truth').mkdir(parents=True)
    soundfile.write(folder / 'drive.flac', sound, RATE, subtype='PCM_16')
    (folder / 'parameters.json').write_text(json.dumps({'start_ns': 1, 'static': True}))
    lines = [
        {
            'stamp': str(index),
            'time_s': 0.5 * index,
            'boxes_px': [[900, 280, 1020, 380], [100, 280, 200, 380]],
            'ids': [3, 4],
            'visible_fraction': [1.0, 0.2],
        }
        for index in range(1, 20)
    ]
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (folder / 'truth' / 'frames.jsonl').write_text(text)
    driving = read_driving([folder], small)
    assert (driving.speeds_mps == 0).all()
    assert driving.sightings.ids.tolist() == [3] * 19
    np.testing.assert_allclose(driving.sightings.azimuths, 0, atol=1e-6)
    # The camera is 1.55 m high and 0.3 m ahead of the array. The lower edge of the box is 80 px
    # below the image centre at a focal length of 1000 px.
    np.testing.assert_allclose(driving.sightings.distances_m, 0.3 + 1.55 * 1000 / 80, rtol=1e-3)
    assert drive_rig(folder) is None
    (folder / 'rig.yaml').write_text('x')
    assert drive_rig(folder) == folder / 'rig.yaml'


def test_drive_odometry_gives_the_speed(small, sound, tmp_path):
    folder, start_ns = tmp_path / 'drive', 1_700_000_000_000_000_000
    folder.mkdir()
    soundfile.write(folder / 'drive.flac', sound[: 12 * RATE], RATE, subtype='PCM_16')
    (folder / 'parameters.json').write_text(json.dumps({'start_ns': start_ns, 'static': True}))
    steps = np.arange(6 * 20)
    zeros = np.zeros(len(steps))
    stamps = start_ns + steps * 50_000_000
    write_odometry(folder, Odometry(stamps, zeros, zeros, zeros, 10 + 0.05 * steps))
    driving = read_driving([folder], small)
    known = driving.fronts.time_s < 5.9
    expected = 10 + driving.fronts.time_s[known]
    np.testing.assert_allclose(driving.speeds_mps[known], expected, atol=1e-3)
    assert np.isnan(driving.speeds_mps[driving.fronts.time_s > 6.5]).all()


def test_bag_without_sound_is_rejected(small, tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write('/odom', ODOMETRY, serialize(odometry(1, 0.0)), 1)
    with pytest.raises(AvdetError, match='expected'):
        read_driving([tmp_path / 'bag'], small)
