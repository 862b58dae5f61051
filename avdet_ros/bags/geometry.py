"""Where a bag's cameras look: from camera_info and static TF to a rig file and image maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation
import yaml

from avdet_ros.bags.reader import Bag, decode
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import CAMERA_INFO, TRANSFORMS
from avdet_ros.rig import default_rig_path, load_rig, parse_rig

_BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_LONGEST_CHAIN = 64


@dataclass(frozen=True)
class CameraModel:
    """The content of a ``camera_info``.

    Attributes:
        frame_id: the optical frame.
        size_px: width and height.
        matrix: (3, 3) float64 K.
        distortion: coefficients, empty without distortion.
        fisheye: the coefficients are those of the equidistant model.
    """

    frame_id: str
    size_px: tuple[int, int]
    matrix: np.ndarray
    distortion: np.ndarray
    fisheye: bool

    def undistort(self) -> Callable[[np.ndarray], np.ndarray]:
        """A function that makes this camera's pictures those of a pinhole camera of the same K."""
        if not self.distortion.any():
            return lambda image: image
        maps = (cv2.fisheye if self.fisheye else cv2).initUndistortRectifyMap(
            self.matrix, self.distortion, np.eye(3), self.matrix, self.size_px, cv2.CV_32FC1
        )
        return lambda image: cv2.remap(image, *maps, interpolation=_interpolation(image))


def camera_model(bag: Bag, image_topic: str) -> CameraModel | None:
    """The ``camera_info`` beside an image topic; None if the bag has none.

    Raises:
        AvdetError: it is there and is not a calibrated camera's.
    """
    base = image_topic.removesuffix('/compressed')
    topic = f'{base.rsplit("/", 1)[0]}/camera_info'
    if topic not in bag.topics or not bag.topics[topic].count:
        return None
    bag.require(topic, CAMERA_INFO)
    info = decode(next(bag.messages([topic])))
    matrix = np.asarray(info.k, np.float64).reshape(3, 3)
    distortion = np.asarray(info.d, np.float64).ravel()
    models = {
        '': (0, 4, 5, 8, 12, 14),
        'plumb_bob': (4, 5),
        'rational_polynomial': (8, 12, 14),
        'equidistant': (4,),
        'fisheye': (4,),
    }
    model = info.distortion_model
    finite = np.isfinite(matrix).all() and np.isfinite(distortion).all()
    if not finite or min(matrix[0, 0], matrix[1, 1]) <= 0 or min(info.width, info.height) < 16:
        raise AvdetError(
            f'bag {bag.path}: {topic}: expected a calibrated camera with K and size, '
            f'found K[0] {matrix[0, 0]:g} and size {info.width} x {info.height}'
        )
    if model not in models or (distortion.any() and len(distortion) not in models[model]):
        raise AvdetError(
            f'bag {bag.path}: {topic}: expected distortion model plumb_bob, '
            f'rational_polynomial or equidistant, found {model!r} with {len(distortion)} numbers'
        )
    fisheye = model in ('equidistant', 'fisheye')
    size = int(info.width), int(info.height)
    return CameraModel(info.header.frame_id, size, matrix, distortion, fisheye)


class StaticTransforms:
    """The static transforms of a bag."""

    def __init__(self, bag: Bag) -> None:
        """Read ``/tf_static``; without it there are none."""
        self._parents: dict[str, tuple[str, np.ndarray]] = {}
        topic = bag.topics.get('/tf_static')
        if topic is None or not topic.count:
            return
        bag.require('/tf_static', TRANSFORMS)
        for message in bag.messages(['/tf_static']):
            for entry in decode(message).transforms:
                child, parent = entry.child_frame_id.lstrip('/'), entry.header.frame_id.lstrip('/')
                turn, shift = entry.transform.rotation, entry.transform.translation
                pose = np.eye(4)
                quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
                norm = np.linalg.norm(quaternion)
                if not 0.5 < norm < 2 or child == parent:
                    raise AvdetError(
                        f'bag {bag.path}: /tf_static: expected a rotation from {parent} to '
                        f'{child}, found a quaternion of length {norm:g}'
                    )
                pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
                pose[:3, 3] = shift.x, shift.y, shift.z
                self._parents[child] = (parent, pose)

    def pose(self, parent: str, child: str) -> np.ndarray | None:
        """Pose of one frame in another.

        Returns:
            (4, 4) float64 that maps coordinates in ``child`` to ``parent``; None if the
            transforms do not connect them.
        """
        up, down = self._to_root(parent), self._to_root(child)
        for frame, pose in down.items():
            if frame in up:
                return np.linalg.inv(up[frame]) @ pose
        return None

    def _to_root(self, frame: str) -> dict[str, np.ndarray]:
        """Pose of a frame in each of its ancestors, nearest first."""
        found = {frame: np.eye(4)}
        pose = np.eye(4)
        while frame in self._parents and len(found) < _LONGEST_CHAIN:
            parent, step = self._parents[frame]
            pose = step @ pose
            frame = parent
            found.setdefault(frame, pose)
        return found


def alignment(
    reference: CameraModel | None,
    other: CameraModel | None,
    transforms: StaticTransforms,
    size_px: tuple[int, int],
) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """How pictures of another camera are laid over the RGB camera's.

    Far things fit exactly: their directions are compared, H = K_rgb R K_other^-1; a baseline of
    0.1 m shifts a vehicle in 20 m by 5 of 1000 pixels.

    Args:
        reference: the RGB camera.
        other: the other camera.
        transforms: of the bag.
        size_px: width and height of the RGB picture.

    Returns:
        align: makes a picture of the RGB picture's size.
        how: what it does, for the report.
    """
    turn = None
    if reference is not None and other is not None:
        turn = transforms.pose(reference.frame_id.lstrip('/'), other.frame_id.lstrip('/'))
    if turn is None:

        def resize(image: np.ndarray) -> np.ndarray:
            if image.shape[1::-1] == size_px:
                return image
            return cv2.resize(image, size_px, interpolation=_interpolation(image))

        return resize, 'taken as aligned: no camera_info with static TF'
    homography = reference.matrix @ turn[:3, :3] @ np.linalg.inv(other.matrix)
    undistort = other.undistort()

    def warp(image: np.ndarray) -> np.ndarray:
        flags = _interpolation(image)
        return cv2.warpPerspective(undistort(image), homography, size_px, flags=flags)

    return warp, 'aligned by camera_info and static TF'


def rig_tree(
    rig_path: Path | None, camera: CameraModel | None, transforms: StaticTransforms
) -> dict[str, Any]:
    """A rig file's tree with what the bag knows better put in.

    Args:
        rig_path: the file to start from; None takes the package's.
        camera: the RGB camera: gives size, K and frame.
        transforms: give the camera's and the array's pose in the vehicle, where they connect them.

    Raises:
        AvdetError: the file is not a rig file.
    """
    rig = load_rig(rig_path)
    path = rig_path or default_rig_path()
    tree = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    if camera is not None:
        k = camera.matrix
        tree['camera'].update(
            frame_id=camera.frame_id,
            image_size_px=list(camera.size_px),
            focal_px=[float(k[0, 0]), float(k[1, 1])],
            principal_px=[float(k[0, 2]), float(k[1, 2])],
        )
    pose = transforms.pose(rig.frame_id, tree['camera']['frame_id'])
    if pose is not None:
        # The optical frame's axes in the vehicle, as the yaw, pitch and roll of a body.
        body = pose[:3, :3] @ _BODY_FROM_OPTICAL.T
        yaw, pitch, roll = Rotation.from_matrix(body).as_euler('ZYX', degrees=True)
        tree['camera'].update(
            position_m=[float(x) for x in pose[:3, 3]],
            yaw_deg=float(yaw),
            pitch_deg=float(pitch),
            roll_deg=float(roll),
        )
    pose = transforms.pose(rig.frame_id, rig.array_frame_id)
    if pose is not None:
        yaw = Rotation.from_matrix(pose[:3, :3]).as_euler('ZYX', degrees=True)[0]
        tree['array'].update(position_m=[float(x) for x in pose[:3, 3]], yaw_deg=float(yaw))
    parse_rig(tree, where=f'{path} with camera_info and static TF of the bag')
    return tree


def _interpolation(image: np.ndarray) -> int:
    # Between a vehicle's depth and the road's behind it there is nothing.
    return cv2.INTER_NEAREST if image.dtype != np.uint8 else cv2.INTER_LINEAR
