"""The camera matrix of a bag's pictures, from ``camera_info`` as drivers send it.

A ``camera_info`` describes the whole sensor as calibrated. The pictures published with it may be
a crop of it (``roi``), binned, scaled down by the driver, or rectified already. All values may be
zero until the driver has loaded its calibration, or for the whole recording.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any

import cv2
import numpy as np

from avdet_ros.bags.reader import Bag, decode
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, decode_picture
from avdet_ros.quoting import brief_repr
from avdet_ros.rig import load_rig

_TRANSPORTS = ('compressed', 'compressedDepth', 'theora', 'ffmpeg', 'zstd')
_RECTIFIED = re.compile(r'(^|[_/])rect(ified)?(?![a-z])', re.IGNORECASE)
_BROWN = 'plumb_bob', 'radtan', 'radial_tangential', 'brown_conrady', 'opencv', 'pinhole'
_RATIONAL = 'rational_polynomial', 'rational', 'thin_prism', 'tilted'
_FISHEYE = 'equidistant', 'fisheye', 'equi', 'kannala_brandt', 'kannala_brandt4'
_COUNTS = {
    **dict.fromkeys(_BROWN, (4, 5)),
    **dict.fromkeys(_RATIONAL, (4, 5, 8, 12, 14)),
    **dict.fromkeys(_FISHEYE, (4,)),
    '': (4, 5, 8, 12, 14),
}
"""Possible numbers of coefficients by distortion model, named as by drivers; OpenCV's order."""

NO_INFO = 'no camera_info'
_SMALLEST_PX = 16
_MOST_PICTURES = 100


@dataclass(frozen=True)
class CameraModel:
    """A camera, described for its recorded pictures.

    Attributes:
        frame_id: the optical frame.
        size_px: width and height.
        matrix: (3, 3) float64 K.
        distortion: coefficients, empty without distortion.
        fisheye: whether the coefficients are those of the equidistant model.
        how: how the ``camera_info`` was adapted, '' if it was used unchanged.
    """

    frame_id: str
    size_px: tuple[int, int]
    matrix: np.ndarray
    distortion: np.ndarray
    fisheye: bool
    how: str = ''

    def undistort(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that maps pictures to those of a pinhole camera with the same K."""
        if not self.distortion.any():
            return lambda image: image
        maps: Any = (cv2.fisheye if self.fisheye else cv2).initUndistortRectifyMap(
            self.matrix, self.distortion, np.eye(3), self.matrix, self.size_px, cv2.CV_32FC1
        )
        first, second = maps
        return lambda image: cv2.remap(image, first, second, interpolation(image))


def interpolation(image: np.ndarray) -> int:
    """Return OpenCV's interpolation: nearest unless uint8, since depths must not be mixed."""
    return cv2.INTER_NEAREST if image.dtype != np.uint8 else cv2.INTER_LINEAR


def info_topic(image_topic: str) -> str:
    """Return the ``camera_info`` topic of an image topic."""
    base, _, last = image_topic.rpartition('/')
    if last in _TRANSPORTS:
        base = base.rpartition('/')[0]
    return f'{base}/camera_info'


def is_rectified(image_topic: str) -> bool:
    """Return whether a topic's name says that its pictures are rectified."""
    return bool(_RECTIFIED.search(image_topic))


def is_calibrated(info: Any) -> bool:
    """Return whether a ``camera_info`` is calibrated; before a driver loads its file, all is 0."""
    return _matrix(info.k) is not None or _matrix(_of_projection(info)) is not None


def camera_model(bag: Bag, image_topic: str) -> tuple[CameraModel | None, str]:
    """Return the camera of an image topic.

    Returns:
        model: camera of the recorded pictures; None if no calibration is known.
        why: the reason if there is no model, else ''.

    Raises:
        AvdetError: the ``camera_info`` does not belong to these pictures, or its distortion model
            is unknown.
    """
    topic = info_topic(image_topic)
    if topic not in bag.topics or not bag.topics[topic].count:
        return None, NO_INFO
    bag.require(topic, CAMERA_INFO)
    info, found = first_calibrated(bag, topic)
    if info is None:
        return None, f'no calibrated camera on {topic} ({found})'
    size, frame_id = first_picture(bag, image_topic)
    where = f'bag {bag.path}: {topic}'
    return model_of(info, size, is_rectified(image_topic), where, frame_id), ''


def drive_camera(
    bag: Bag, image_topic: str, rig_path: Path | None
) -> tuple[CameraModel | None, str]:
    """Return the camera to which a drive's boxes refer, from ``camera_info`` or the rig file.

    Args:
        bag: the recording.
        image_topic: topic of the RGB camera.
        rig_path: the rig file that the user named, or None.

    Returns:
        model: None if the rig file's camera is used.
        how: source of size and matrix, for the report.

    Raises:
        AvdetError: the ``camera_info`` cannot be used, and no rig file is named that could
            replace it.
    """
    topic = info_topic(image_topic)
    where = f'bag {bag.path}: {topic}'
    try:
        model, why = camera_model(bag, image_topic)
    except AvdetError as error:
        camera = load_rig(rig_path).camera if rig_path else None
        size, _ = first_picture(bag, image_topic)
        if camera is None or 'distortion' in str(error):
            raise
        if size != (camera.width_px, camera.height_px):
            raise
        return None, f'{rig_path}, since {error}'
    if model is not None:
        return model, ', '.join(filter(None, (topic, model.how)))
    if rig_path is None and why != NO_INFO:
        raise AvdetError(
            f'{where}: expected a calibrated camera with K and size, found {why}; calibrate it, '
            'or name a rig file that knows it'
        )
    return None, f'{rig_path or "the example rig file"}, since there is {why}'


def first_calibrated(bag: Bag, topic: str) -> tuple[Any, str]:
    """Return the first calibrated ``camera_info``; before a driver loads its file, all is 0.

    Returns:
        info: the message, or None.
        found: content of the first message if none is calibrated.
    """
    found = ''
    for message in bag.messages([topic]):
        info: Any = decode(message)
        if is_calibrated(info):
            return info, ''
        k = np.asarray(info.k, np.float64).ravel()
        found = found or f'K[0] {k[0]:g}, size {info.width} x {info.height}'
    return None, found or 'no message that is whole'


def first_picture(bag: Bag, topic: str) -> tuple[tuple[int, int] | None, str]:
    """Return width and height of a topic's pictures, None if unreadable, and their frame_id."""
    image, frame_id = _first_readable(bag, topic)
    return (None if image is None else (image.shape[1], image.shape[0])), frame_id


def first_image(bag: Bag, topic: str) -> np.ndarray | None:
    """Return the first readable picture of a topic, see `decode_picture`, or None."""
    return _first_readable(bag, topic)[0]


def _first_readable(bag: Bag, topic: str) -> tuple[np.ndarray | None, str]:
    for count, message in enumerate(bag.messages([topic])):
        try:
            decoded: Any = decode(message)
            image = decode_picture(decoded, topic)
        except AvdetError:
            if count > _MOST_PICTURES:
                break
            continue
        return image, decoded.header.frame_id
    return None, ''


def cameras_of(bag: Bag) -> list[str]:
    """Return the image topics that have a ``camera_info``."""
    return [
        name
        for name, topic in bag.topics.items()
        if topic.count
        and topic.msgtype in (IMAGE, COMPRESSED_IMAGE)
        and bag.topics.get(info_topic(name)) is not None
    ]


def model_of(
    info: Any, picture_px: tuple[int, int] | None, rectified: bool, where: str, frame_id: str = ''
) -> CameraModel:
    """Return the camera that a calibrated ``camera_info`` describes, for pictures of a given size.

    Args:
        info: the message.
        picture_px: width and height of the pictures; None uses the message's size.
        rectified: whether the pictures are rectified; P is then their matrix, without distortion.
        where: bag and topic of the message, for errors.
        frame_id: frame_id of the pictures, used if the message has none.

    Raises:
        AvdetError: the pictures are neither a crop nor a scaling of the calibrated ones, or the
            distortion model is unknown.
    """
    raw, projected = _matrix(info.k), _matrix(_of_projection(info))
    distortion, fisheye = np.zeros(0), False
    if rectified or raw is None:
        matrix, how = (projected, 'P') if projected is not None else (raw, 'K, since P is empty')
        how = f'rectified pictures: {how}' if rectified else 'P, since K is empty'
    else:
        matrix, how = raw, ''
    if matrix is None:
        raise AvdetError(f'{where}: expected a camera matrix in K or P, found none in either')
    if not rectified:
        distortion, fisheye = _distortion(info, where)
    matrix, size, fitted = _of_pictures(info, matrix, picture_px, where)
    return CameraModel(
        info.header.frame_id or frame_id,
        size,
        matrix,
        distortion,
        fisheye,
        '; '.join(filter(None, (how, fitted))),
    )


def _of_projection(info: Any) -> np.ndarray:
    """(9,) K of the rectified pictures, taken from P."""
    return np.asarray(info.p, np.float64).reshape(3, 4)[:, :3].ravel()


def _matrix(numbers: Any) -> np.ndarray | None:
    """(3, 3) float64; None if the numbers are not a camera matrix."""
    matrix = np.array(numbers, np.float64).reshape(3, 3)
    focal = matrix[0, 0], matrix[1, 1]
    if not np.isfinite(matrix).all() or min(focal) <= 0:
        return None
    # Some drivers send the identity for "unknown"; no optical axis meets the picture's corner.
    return matrix if matrix[:2, 2].any() else None


def _distortion(info: Any, where: str) -> tuple[np.ndarray, bool]:
    """Return OpenCV's distortion coefficients and whether they are the fisheye model's."""
    numbers = np.asarray(info.d, np.float64).ravel()
    if not numbers.any():
        return np.zeros(0), False
    model = re.sub('[^a-z0-9]+', '_', str(info.distortion_model).strip().lower()).strip('_')
    counts = _COUNTS.get(model, ())
    if counts and np.isfinite(numbers).all():
        used = int(np.flatnonzero(numbers)[-1]) + 1
        # Drivers pad with zeros, and leave out p1 and p2 or k3.
        fits = [count for count in counts if count >= used]
        if fits and (used <= 2 or len(numbers) >= min(counts)):
            padded = np.zeros(fits[0])
            padded[:used] = numbers[:used]
            return padded, model in _FISHEYE
    raise AvdetError(
        f'{where}: expected distortion model plumb_bob, rational_polynomial or equidistant, '
        f'found {brief_repr(info.distortion_model)} with {len(numbers)} numbers'
    )


def _of_pictures(
    info: Any, matrix: np.ndarray, picture_px: tuple[int, int] | None, where: str
) -> tuple[np.ndarray, tuple[int, int], str]:
    """Return the matrix adapted to the pictures' crop, binning and scale, their size, and how."""
    whole = int(info.width), int(info.height)
    roi, binning = info.roi, (max(info.binning_x, 1), max(info.binning_y, 1))
    crop = (int(roi.width) or whole[0], int(roi.height) or whole[1])
    size = (crop[0] // binning[0], crop[1] // binning[1])
    if min(whole) == 0:  # the driver knows its matrix but not its size
        if picture_px is None or not _inside(matrix, picture_px):
            found = 'none' if picture_px is None else f'{picture_px[0]} x {picture_px[1]}'
            raise AvdetError(
                f'{where}: expected the size of the calibrated pictures, found 0 x 0 for '
                f'pictures of {found}'
            )
        return matrix, picture_px, 'without a size: that of the pictures'
    if min(whole) < _SMALLEST_PX:
        raise AvdetError(
            f'{where}: expected a calibrated camera with K and size, found K[0] '
            f'{matrix[0, 0]:g} and size {whole[0]} x {whole[1]}'
        )
    picture_px = picture_px or size
    shifted = matrix - np.array([[0, 0, roi.x_offset], [0, 0, roi.y_offset], [0, 0, 0]])
    cropped = f'cropped to {crop[0]} x {crop[1]} at {roi.x_offset}, {roi.y_offset}'
    here = (shifted, cropped) if crop != whole else (matrix, '')
    binned = all(abs(a - b) <= (n > 1) for a, b, n in zip(picture_px, size, binning, strict=True))
    if binned and (size != whole or picture_px == whole):  # as the message itself says
        return _scaled(here[0], here[1], crop, picture_px, (1 / binning[0], 1 / binning[1]))
    if picture_px == whole:  # the calibration was made with this crop and binning
        return matrix, whole, ''
    for (base, words), of in ((here, crop), ((matrix, ''), whole)):
        if scale := _scale(of, picture_px):
            return _scaled(base, words, of, picture_px, scale)
    part = f' or a crop of {crop[0]} x {crop[1]}' if crop != whole else ''
    raise AvdetError(
        f'{where}: expected pictures of {whole[0]} x {whole[1]}{part}, or these scaled, '
        f'found {picture_px[0]} x {picture_px[1]}'
    )


def _scaled(
    matrix: np.ndarray,
    words: str,
    size: tuple[int, int],
    picture_px: tuple[int, int],
    scale: tuple[float, float],
) -> tuple[np.ndarray, tuple[int, int], str]:
    """Scale a matrix as ROS's image_geometry does: pixels count from the picture's edge."""
    scaling = f'scaled from {size[0]} x {size[1]} to {picture_px[0]} x {picture_px[1]}'
    how = ', '.join(filter(None, (words, scaling if picture_px != size else '')))
    return np.diag([*scale, 1.0]) @ matrix, picture_px, how


def _inside(matrix: np.ndarray, size: tuple[int, int]) -> bool:
    """Return whether the optical axis meets the middle half of the picture."""
    return all(0.25 * size[i] < matrix[i, 2] < 0.75 * size[i] for i in range(2))


def _scale(calibrated: tuple[int, int], pictures: tuple[int, int]) -> tuple[float, float] | None:
    """Return the scale of width and height; None unless both agree up to rounding to pixels."""
    x, y = pictures[0] / calibrated[0], pictures[1] / calibrated[1]
    even = abs(pictures[1] - calibrated[1] * x) < 1 or abs(pictures[0] - calibrated[0] * y) < 1
    return (x, y) if even else None
