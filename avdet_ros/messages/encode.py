"""Encode numpy arrays as ROS messages; `avdet_ros.messages.decode` is the inverse."""

from __future__ import annotations

from array import array

from builtin_interfaces.msg import Time
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from avdet_ros.messages.places import covariance36
from avdet_ros.tracking.track import Track

CLASS_ID = '0'
"""Number of the only class; `label_info` has its name."""


def encode_stamp(nanoseconds: int) -> Time:
    """Convert nanoseconds since 1970 to ROS time; earlier times become 0."""
    seconds, nanosec = divmod(max(int(nanoseconds), 0), 1_000_000_000)
    return Time(sec=seconds, nanosec=nanosec)


def encode_header(nanoseconds: int, frame_id: str) -> Header:
    """Make a header."""
    return Header(stamp=encode_stamp(nanoseconds), frame_id=frame_id)


def encode_image(head: Header, encoding: str, pixels: np.ndarray) -> Image:
    """Encode (height, width, ...) pixels as an Image."""
    message = Image(
        header=head,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        check_fields=True,  # keeps the array as it is; otherwise it is copied
    )
    data = array('B')
    data.frombytes(np.ascontiguousarray(pixels).reshape(-1).view(np.uint8).data)
    message.data = data
    message.step = len(data) // max(message.height, 1)
    return message


def encode_sound(head: Header, samples: np.ndarray) -> Image:
    """Encode sound, (samples, channels) int16 or float32; the stamp is its first sample's."""
    encoding = f'{"16S" if samples.dtype == np.int16 else "32F"}C{samples.shape[1]}'
    return encode_image(head, encoding, samples[:, None])


def encode_spectrogram(head: Header, features: np.ndarray) -> Image:
    """Encode features, (channels, n_mels, frames) float32; the stamp is the window's end."""
    return encode_image(head, f'32FC{features.shape[0]}', features.transpose(1, 2, 0))


def encode_detections(
    head: Header,
    boxes_px: np.ndarray,
    scores: np.ndarray,
    ids: list[str] | None = None,
    places: tuple[np.ndarray, np.ndarray] | None = None,
) -> Detection2DArray:
    """Encode boxes as a ``vision_msgs/Detection2DArray``.

    Args:
        head: stamp is the instant the boxes are valid for, frame the camera's optical frame.
        boxes_px: (N, 4) x_min, y_min, x_max, y_max.
        scores: (N,) in [0, 1].
        ids: identities, for tracks and truth.
        places: result of `avdet_ros.messages.places.find_places`; None leaves the poses empty.
    """
    message = Detection2DArray(header=head)
    for index, (box, score) in enumerate(zip(boxes_px.tolist(), scores.tolist(), strict=True)):
        x_min, y_min, x_max, y_max = box
        entry = Detection2D(header=head)
        entry.bbox.center.position.x = (x_min + x_max) / 2
        entry.bbox.center.position.y = (y_min + y_max) / 2
        entry.bbox.size_x = x_max - x_min
        entry.bbox.size_y = y_max - y_min
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = CLASS_ID
        hypothesis.hypothesis.score = float(score)
        if places is not None:
            at = hypothesis.pose.pose.position
            at.x, at.y, at.z = places[0][index].tolist()
            hypothesis.pose.covariance = covariance36(places[1][index])
        entry.results = [hypothesis]
        if ids is not None:
            entry.id = ids[index]
        message.detections.append(entry)
    return message


def encode_tracks(head: Header, found: list[Track]) -> Detection2DArray:
    """Encode tracks as a message, with their ids."""
    boxes = np.array([track.box_px for track in found], np.float64).reshape(-1, 4)
    scores = np.array([track.score for track in found], np.float64)
    return encode_detections(head, boxes, scores, [str(track.track_id) for track in found])
