"""Convert a drive in the MAVD layout to a bag, as if the vehicle had just recorded it.

Simulated drives can then be used like real ones: played to nodes, viewed, converted back.
"""

from __future__ import annotations

from collections.abc import Iterator
import heapq
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
import soundfile

from avdet_ros.bags.drive_motion import air_messages, odometry_messages
from avdet_ros.bags.writer import BagWriter
from avdet_ros.dataset import layout
from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import CAMERA_INFO, COMPRESSED_IMAGE, TRANSFORMS
from avdet_ros.messages.encode_offline import make_detections, make_header, make_image, make_sound
from avdet_ros.messages.typestore import serialize, typestore
from avdet_ros.rig import MICROPHONES, Rig, load_rig

BLOCK = 1024
"""Samples per message, as published by capture."""

TOPICS = {
    'rgb': '/camera/image_raw/compressed',
    'thermal': '/thermal/image_raw',
    'depth': '/depth/image_raw',
}
AUDIO, TRUTH = '/avdet/audio', '/avdet/truth'


def drive_to_bag(folder: Path, out: Path) -> dict[str, int]:
    """Write a drive as a bag.

    Args:
        folder: a drive with ``drive.flac``, as `avdet sim drives` writes it.
        out: bag to create.

    Returns:
        Number of messages by topic.

    Raises:
        AvdetError: the folder is not such a drive, or the bag exists already.
    """
    if not (folder / layout.DRIVE_SOUND).is_file():
        raise AvdetError(
            f'{folder}: expected a drive with {layout.DRIVE_SOUND} as avdet sim drives writes it, '
            f'found none'
        )
    start_ns = int(layout.read_parameters(folder)['start_ns'])
    rig = load_rig(folder / 'rig.yaml')
    seconds = soundfile.info(folder / layout.DRIVE_SOUND).duration
    sources = [_rig_messages(rig, start_ns), _sound(folder, rig, start_ns)]
    sources += [odometry_messages(folder, rig), air_messages(folder, rig, start_ns, seconds)]
    ids = _frames(folder)
    sources += [_pictures(folder, ids, kind, rig) for kind in layout.PICTURES]
    if (folder / 'truth' / 'frames.jsonl').exists():
        sources.append(_truth(folder, ids, rig))
    counts: dict[str, int] = {}
    with BagWriter(out) as writer:
        for stamp_ns, topic, message in heapq.merge(*sources, key=lambda entry: entry[:2]):
            writer.write(topic, message.__msgtype__, serialize(message), stamp_ns)
            counts[topic] = counts.get(topic, 0) + 1
    return counts


def _frames(folder: Path) -> list[layout.FrameId]:
    kind, prefix, endings = layout.PICTURES['rgb']
    found = []
    for path in (folder / kind).iterdir():
        if path.suffix in endings and path.stem.startswith(prefix):
            frame = layout.parse_id(f'{folder.name}/{path.stem.removeprefix(prefix)}')
            if frame is not None:
                found.append(frame)
    return sorted(found)


def _rig_messages(rig: Rig, start_ns: int) -> Iterator[tuple[int, str, Any]]:
    types, camera = typestore().types, rig.camera
    array = Rotation.from_euler('z', rig.array_yaw_deg, degrees=True)
    poses = [
        (camera.frame_id, camera.position_m, Rotation.from_matrix(camera.rotation.T)),
        (rig.array_frame_id, rig.array_position_m, array),
    ]
    transforms = [
        types['geometry_msgs/msg/TransformStamped'](
            make_header(start_ns, rig.frame_id),
            child,
            types['geometry_msgs/msg/Transform'](
                types['geometry_msgs/msg/Vector3'](*map(float, position)),
                types['geometry_msgs/msg/Quaternion'](*map(float, turn.as_quat())),
            ),
        )
        for child, position, turn in poses
    ]
    k = np.array([camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1.0])
    projection = np.array([camera.fx, 0, camera.cx, 0, 0, camera.fy, camera.cy, 0, 0, 0, 1.0, 0])
    info = types[CAMERA_INFO](
        make_header(start_ns, camera.frame_id),
        camera.height_px,
        camera.width_px,
        'plumb_bob',
        np.zeros(5),
        k,
        np.eye(3).ravel(),
        projection,
        0,
        0,
        types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False),
    )
    yield start_ns, '/camera/camera_info', info
    yield start_ns, '/tf_static', types[TRANSFORMS](transforms)


def _sound(folder: Path, rig: Rig, start_ns: int) -> Iterator[tuple[int, str, Any]]:
    with soundfile.SoundFile(folder / layout.DRIVE_SOUND) as file:
        if (file.channels, file.samplerate) != (MICROPHONES, rig.sample_rate_hz):
            raise AvdetError(
                f'{folder / layout.DRIVE_SOUND}: expected {MICROPHONES} channels at '
                f'{rig.sample_rate_hz} Hz, found {file.channels} at {file.samplerate} Hz'
            )
        first = 0
        while len(block := file.read(BLOCK, dtype='int16', always_2d=True)):
            stamp = start_ns + round(first * 1e9 / rig.sample_rate_hz)
            header = make_header(stamp, rig.array_frame_id)
            # A block is received once its last sample has been recorded.
            there = start_ns + round((first + len(block)) * 1e9 / rig.sample_rate_hz)
            yield there, AUDIO, make_sound(header, block)
            first += len(block)


def _pictures(
    folder: Path, ids: list[layout.FrameId], kind: str, rig: Rig
) -> Iterator[tuple[int, str, Any]]:
    frame_id = rig.camera.frame_id
    for frame in ids:
        path = layout.picture_path(folder.parent, frame, kind)
        if not path.exists():
            continue
        header = make_header(frame.stamp_ns, frame_id)
        if kind == 'rgb':
            data = np.fromfile(path, np.uint8)
            form = f'bgr8; {"png" if path.suffix == ".png" else "jpeg"} compressed bgr8'
            message = typestore().types[COMPRESSED_IMAGE](header, form, data)
        else:
            image = layout.read_picture(folder.parent, frame, kind)
            encoding = 'mono16' if image.dtype == np.uint16 else 'mono8'
            if image.ndim == 3:
                encoding = 'bgr8'
            height, width = image.shape[:2]
            message = make_image(header, encoding, height, width, image)
        yield frame.stamp_ns, TOPICS[kind], message


def _truth(folder: Path, ids: list[layout.FrameId], rig: Rig) -> Iterator[tuple[int, str, Any]]:
    truth = layout.read_truth(folder.parent, folder.name)
    for frame in ids:
        line = truth.get(frame.stamp)
        if line is None:
            continue
        wanted = np.flatnonzero(line['label'])
        header = make_header(frame.stamp_ns, rig.camera.frame_id)
        found = Detections(line['boxes_px'][wanted], np.ones(len(wanted), np.float32))
        message = make_detections(header, found)
        for entry, index in zip(message.detections, wanted, strict=True):
            entry.id = str(line['ids'][index])
        yield frame.stamp_ns, TRUTH, message
