"""Node camera: pictures match the drive of the sound, its truth and its clock."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, TimeReference
from vision_msgs.msg import Detection2DArray

from avdet_ros.dataset import layout
from avdet_ros.messages.decode import decode_detections, decode_picture, stamp_ns
from avdet_ros.nodes import qos
from avdet_ros.nodes.camera import CameraNode
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.simulation.drive import write_drive
from avdet_ros.simulation.footage import footage_of
from avdet_ros.simulation.live import drawn_drive
from avdet_ros.simulation.plan import Plan, plan_drives

pytestmark = pytest.mark.ros

SEED, SECONDS = 300_022, 4.0


def drive_time_ns(message, drive_times):
    """Time of a message since the start of the drive; the start shifts by less than 2 ms."""
    return stamp_ns(message) - stamp_ns(drive_times[-1])


def test_pictures_match_the_footage_at_the_instants_of_the_drive(start, watcher, wait, rig):
    drive_times = watcher.collect(TimeReference, 'drive_time', qos.LATCHED)
    pictures = watcher.collect(Image, 'camera/image_raw', qos.OFFER_STREAM)
    depths = watcher.collect(Image, 'depth/image_raw', qos.OFFER_STREAM)
    thermals = watcher.collect(Image, 'thermal/image_raw', qos.OFFER_STREAM)
    infos = watcher.collect(CameraInfo, 'camera/camera_info')
    start(
        CameraNode,
        seed=SEED,
        duration_s=SECONDS,
        rate_hz=2.0,
        modalities=['rgb', 'thermal', 'depth'],
    )
    start(CaptureNode, source='simulation', seed=SEED, duration_s=SECONDS)
    values = watcher.wait_status('camera', values=lambda v: v.get('finished') == 'True')[2]
    assert values['drive'] == f'simulation {SEED}'
    assert float(values['render_ms_p50']) > 0
    assert float(values['late_ms_max']) > 0  # pictures are sent after their instant
    wait(lambda: pictures and depths and thermals and infos, 'pictures')
    assert drive_times[-1].source == f'simulation {SEED}'
    expected = footage_of(drawn_drive(SEED, rig, SECONDS), 2.0)
    message = pictures[-1]
    instant = drive_time_ns(message, drive_times) * 1e-9
    nearest = round(instant * 2) / 2
    assert instant == pytest.approx(nearest, abs=0.005)
    shown = expected.take(nearest, ('rgb', 'thermal', 'depth'))
    assert (message.encoding, message.header.frame_id) == ('rgb8', rig.camera.frame_id)
    np.testing.assert_array_equal(decode_picture(message, 'x')[..., ::-1], shown['rgb'])
    stamps = {stamp_ns(image): image for image in thermals}
    np.testing.assert_array_equal(decode_picture(stamps[stamp_ns(message)], 'x'), shown['thermal'])
    metres = decode_picture({stamp_ns(d): d for d in depths}[stamp_ns(message)], 'x')
    np.testing.assert_array_equal(metres, shown['depth'])
    assert np.isnan(metres).any()
    assert np.nanmin(metres) > 0.5
    camera = rig.camera
    assert [infos[-1].k[i] for i in (0, 4, 2, 5)] == [camera.fx, camera.fy, camera.cx, camera.cy]
    assert (infos[-1].width, infos[-1].height) == (camera.width_px, camera.height_px)


def test_without_subscribers_nothing_is_rendered(start, watcher):
    start(CaptureNode, source='simulation', seed=SEED, duration_s=3.0)
    start(CameraNode, seed=SEED, duration_s=3.0)
    watcher.wait_status('capture', 'has ended')
    status = watcher.wait_status('camera', 'no subscribers', level=0)
    assert status[2]['pictures'] == '0'


def test_drive_different_from_that_of_capture_is_reported(start, watcher):
    start(CaptureNode, source='simulation', seed=SEED, duration_s=3.0)
    start(CameraNode, seed=SEED + 1, duration_s=3.0)
    watcher.wait_status('camera', f'expected simulation {SEED + 1} as the parameters say', level=2)


@pytest.fixture(scope='module')
def written_drive(tmp_path_factory):
    root = tmp_path_factory.mktemp('drives')
    plan = Plan(drives=1, minutes=0.05, seed=5, fps=2.0, clips=False)
    (drive,) = plan_drives(plan)
    write_drive(root, plan, drive)
    return root / drive.name


def test_written_drive_is_played_as_stored_on_disk(start, watcher, wait, written_drive):
    drive_times = watcher.collect(TimeReference, 'drive_time', qos.LATCHED)
    pictures = watcher.collect(Image, 'camera/image_raw', qos.OFFER_STREAM)
    truth = watcher.collect(Detection2DArray, 'truth', 200)
    start(CameraNode, drive=str(written_drive))
    start(CaptureNode, source='simulation', drive=str(written_drive), hop_s=0.5)
    watcher.wait_status('capture', f'drive {written_drive.name} has ended', level=0)
    wait(lambda: pictures and len(truth) >= 6, 'pictures and truth')
    ids = layout.read_truth(written_drive.parent, written_drive.name)
    by_time = {round(line['time_s'] * 1e9): line for line in ids.values()}
    message = pictures[-1]
    nearest = min(by_time, key=lambda at: abs(at - drive_time_ns(message, drive_times)))
    assert drive_time_ns(message, drive_times) == pytest.approx(nearest, abs=5_000_000)
    frame = layout.parse_id(f'{written_drive.name}/{by_time[nearest]["stamp"]}')
    expected = layout.read_picture(written_drive.parent, frame, 'rgb')
    np.testing.assert_array_equal(decode_picture(message, 'x'), expected)
    compared = 0
    for message in truth:
        line = by_time.get(round(drive_time_ns(message, drive_times) / 5e8) * 500_000_000)
        if line is not None:
            boxes = decode_detections(message)[0].boxes_px
            wanted = line['boxes_px'][np.array(line['label'], bool)]
            np.testing.assert_allclose(boxes, wanted, atol=0.05)
            compared += 1
    assert compared >= 4


@pytest.mark.parametrize('node_class', [CameraNode, CaptureNode])
def test_folder_without_a_drive_is_reported(start, watcher, tmp_path, node_class):
    more = {'source': 'simulation'} if node_class is CaptureNode else {}
    start(node_class, drive=str(tmp_path), **more)
    watcher.wait_status(node_class.NAME, 'expected a drive with drive.flac', level=2)
