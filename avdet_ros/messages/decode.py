"""Decode ROS messages to numpy.

The functions use only field names, so they accept messages deserialized by rosbags as well as
messages received by rclpy.
"""

from __future__ import annotations

import math
import re
from typing import Any

import cv2
import numpy as np

from avdet_ros import LARGEST_IMAGE_PX
from avdet_ros.detection.boxes import Detections
from avdet_ros.drawing.from_above import Placed
from avdet_ros.errors import AvdetError
from avdet_ros.messages.camera_encodings import ENCODINGS
from avdet_ros.messages.compressed import decode_compressed
from avdet_ros.messages.places import with_places
from avdet_ros.quoting import brief_repr
from avdet_ros.rig import MICROPHONES, Rig

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
DETECTIONS = 'vision_msgs/msg/Detection2DArray'
GROUND_TRACKS = 'vision_msgs/msg/Detection3DArray'
POINTS = 'sensor_msgs/msg/PointCloud2'
NUMBER = 'std_msgs/msg/Float64'
ODOMETRY = 'nav_msgs/msg/Odometry'
TEMPERATURE = 'sensor_msgs/msg/Temperature'
TRANSFORMS = 'tf2_msgs/msg/TFMessage'

FULL_SCALE = 1.0
"""A block with a larger median magnitude has another full scale."""

FARTHEST = 8.0
"""Largest magnitude accepted as sound; converters overshoot full scale a little."""

_SOUND = {f'16SC{MICROPHONES}': 'i2', f'32FC{MICROPHONES}': 'f4'}
_SOME_ENCODINGS = 'bgr8, rgb8, mono8, mono16, bayer_rggb8, yuv422, nv12, 32FC1'
_SPECTROGRAM = re.compile('32FC([0-9]{1,3})')
_MOST_CHANNELS = 512


def stamp_ns(message: Any) -> int:
    """The header's stamp in nanoseconds; 0 means that it was not set."""
    stamp = message.header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def yaw_of(turn: Any) -> float:
    """Return a quaternion's rotation about z, radians.

    Raises:
        AvdetError: the quaternion is not a rotation.
    """
    x, y, z, w = turn.x, turn.y, turn.z, turn.w
    norm = x * x + y * y + z * z + w * w
    if not 0.5 < norm < 2.0:  # also true of NaN
        raise AvdetError(f'expected a quaternion of length 1, found {x}, {y}, {z}, {w}')
    return math.atan2(2 * (w * z + x * y), w * w + x * x - y * y - z * z)


def decode_odometry(message: Any, base_frame: str, where: str) -> tuple[float, float, float]:
    """Decode position (x, y) in metres and yaw in radians from a ``nav_msgs/Odometry``.

    Args:
        message: the message; its twist is not used, as not every publisher fills it in.
        base_frame: expected child_frame_id; an empty one is accepted too.
        where: topic, for error messages.

    Raises:
        AvdetError: the pose is of another frame, or its orientation is not a rotation.
    """
    if message.child_frame_id not in ('', base_frame):
        raise AvdetError(
            f'{where}: expected child_frame_id {base_frame}, found '
            f'{brief_repr(message.child_frame_id)}: left out'
        )
    place = message.pose.pose.position
    try:
        return place.x, place.y, yaw_of(message.pose.pose.orientation)
    except AvdetError as error:
        raise AvdetError(f'{where}: {error}') from error


def decode_ground(message: Any) -> list[Placed]:
    """Decode the vehicles of `tracks_3d`, except those with non-finite position or covariance.

    Args:
        message: ``vision_msgs/Detection3DArray``.
    """
    found = []
    for entry in message.detections:
        if not entry.results:
            continue
        place = np.array([entry.bbox.center.position.x, entry.bbox.center.position.y])
        whole = np.asarray(entry.results[0].pose.covariance, np.float64).reshape(6, 6)
        if np.isfinite(place).all() and np.isfinite(whole[:2, :2]).all():
            number = int(entry.id) if entry.id.isdecimal() and len(entry.id) < 10 else 0
            found.append(Placed(number, place, whole[:2, :2]))
    return found


def decode_sound(message: Any, where: str) -> np.ndarray:
    """Decode a block of sound.

    Args:
        message: ``sensor_msgs/Image``, one row per sample, one channel per microphone.
        where: bag and topic, for error messages.

    Returns:
        (samples, 8) int16, or float32 in [-1, 1], NaN where a sample was not a number.

    Raises:
        AvdetError: the encoding, number of channels or full scale is wrong, or the sizes
            contradict each other.
    """
    kind = _SOUND.get(message.encoding)
    if kind is None:
        raise AvdetError(
            f'{where}: expected sound of {MICROPHONES} channels with encoding '
            f'{" or ".join(_SOUND)}, found encoding {brief_repr(message.encoding)}'
        )
    if message.width != 1:
        raise AvdetError(f'{where}: expected sound with width 1, found {message.width}')
    block = _array(message, kind, MICROPHONES, where)[:, 0]
    if kind == 'i2':
        return block.astype(np.int16, copy=False)
    return _in_full_scale(block.astype(np.float32, copy=False), where)


def _in_full_scale(block: np.ndarray, where: str) -> np.ndarray:
    """Check that float sound has full scale 1, and replace single samples far beyond it by NaN."""
    size = np.abs(block)
    finite = np.isfinite(size)
    if finite.any() and float(np.median(size[finite])) > FULL_SCALE:
        raise AvdetError(
            f'{where}: expected 32FC{MICROPHONES} sound in -1 to 1, found up to '
            f'{float(size[finite].max()):.4g}: another full scale, such as 32768; scale it, or '
            f'send 16SC{MICROPHONES}'
        )
    outliers = finite & (size > FARTHEST)
    return np.where(outliers, np.float32(np.nan), block) if outliers.any() else block


def decode_spectrogram(message: Any, where: str) -> np.ndarray:
    """Decode one window's features, (channels, n_mels, frames) float32.

    Raises:
        AvdetError: the encoding is not ``32FC<channels>``, or the sizes contradict each other.
    """
    named = _SPECTROGRAM.fullmatch(message.encoding)
    channels = int(named[1]) if named else 0
    if not 0 < channels <= _MOST_CHANNELS:
        raise AvdetError(
            f'{where}: expected a spectrogram with encoding 32FC<channels>, '
            f'found encoding {brief_repr(message.encoding)}'
        )
    return channels_first(_array(message, 'f4', channels, where))


def channels_first(pixels: np.ndarray) -> np.ndarray:
    """Reorder (n_mels, frames, channels) float32 to contiguous (channels, n_mels, frames)."""
    n_mels, frames, channels = pixels.shape
    # Takes a quarter of the time of numpy's transpose.
    return cv2.transpose(pixels.reshape(-1, channels)).reshape(channels, n_mels, frames)


def decode_picture(message: Any, where: str) -> np.ndarray:
    """Decode a camera's picture from a ``sensor_msgs/Image`` or ``CompressedImage``.

    Returns:
        (height, width, 3) uint8 BGR, (height, width) uint8 or uint16, or (height, width) float32.

    Raises:
        AvdetError: the encoding is unknown or the data are not a picture.
    """
    if hasattr(message, 'format'):
        return decode_compressed(message, where)
    encoding = ENCODINGS.get(message.encoding) or ENCODINGS.get(message.encoding.lower())
    if encoding is None:
        raise AvdetError(
            f'{where}: expected a picture with encoding {_SOME_ENCODINGS} or another of '
            f'sensor_msgs, found {brief_repr(message.encoding)}'
        )
    pixels = _array(message, encoding.kind, encoding.channels, where, encoding.rows)
    try:
        return np.ascontiguousarray(encoding.decode(np.ascontiguousarray(pixels)))
    except (cv2.error, ValueError) as error:  # an odd width or height where colours are shared
        raise AvdetError(
            f'{where}: expected a size that encoding {message.encoding} can have, '
            f'found {message.width} x {message.height}'
        ) from error


def decode_detections(message: Any, rig: Rig | None = None) -> tuple[Detections, list[str]]:
    """Decode boxes and ids of a ``vision_msgs/Detection2DArray``, in its order.

    Args:
        message: the message.
        rig: converts the hypotheses' poses to ranges and bearings; None leaves them out.
    """
    boxes, scores, ids, places, covariances = [], [], [], [], []
    for entry in message.detections:
        centre, box = entry.bbox.center.position, entry.bbox
        half_x, half_y = box.size_x / 2, box.size_y / 2
        boxes.append((centre.x - half_x, centre.y - half_y, centre.x + half_x, centre.y + half_y))
        scores.append(max((r.hypothesis.score for r in entry.results), default=0.0))
        ids.append(entry.id)
        if rig is not None and entry.results:
            pose = entry.results[0].pose
            at = pose.pose.position
            places.append((at.x, at.y, at.z))
            covariances.append(np.asarray(pose.covariance, np.float64).reshape(6, 6)[:3, :3])
    found = Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32))
    if rig is not None and places and len(places) == len(boxes):
        found = with_places(found, np.array(places), np.array(covariances), rig)
    return found, ids


def _array(message: Any, kind: str, channels: int, where: str, rows: float = 1.0) -> np.ndarray:
    """Read an Image's data as (rows of data, width, channels), without the padding of rows.

    Args:
        message: the Image.
        kind: numpy type of one number, without the byte order.
        channels: numbers per pixel.
        where: topic, for error messages.
        rows: rows of data per row of pixels.
    """
    if not 0 < message.height * message.width <= LARGEST_IMAGE_PX:
        raise AvdetError(
            f'{where}: expected 1 to {LARGEST_IMAGE_PX} pixels, '
            f'found {message.width} x {message.height}'
        )
    order = '>' if message.is_bigendian else '<'
    dtype = np.dtype(order + kind)
    row_bytes = message.width * channels * dtype.itemsize
    height = round(message.height * rows)
    needed = message.step * height
    data = np.frombuffer(message.data, np.uint8)
    if message.step < row_bytes or data.size != needed:
        raise AvdetError(
            f'{where}: expected {height} rows of at least {row_bytes} bytes as encoding '
            f'{message.encoding} and width {message.width} say, '
            f'found step {message.step} and {data.size} bytes'
        )
    lines = data.reshape(height, message.step)[:, :row_bytes]
    pixels = np.ascontiguousarray(lines).view(dtype)
    native = dtype.newbyteorder('=')
    return pixels.astype(native, copy=False).reshape(height, message.width, channels)
