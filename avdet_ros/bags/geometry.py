"""Where a bag's cameras look: from camera_info and static TF to a rig file and image maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation
import yaml

from avdet_ros.bags.camera_info import CameraModel, interpolation
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import TRANSFORMS
from avdet_ros.rig import default_rig_path, load_rig, parse_rig

_BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_LONGEST_CHAIN = 64


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
    why: str = '',
) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """How pictures of another camera are laid over the RGB camera's.

    Far things fit exactly: their directions are compared, H = K_rgb R K_other^-1; a baseline of
    0.1 m shifts a vehicle in 20 m by 5 of 1000 pixels.

    Args:
        reference: the RGB camera.
        other: the other camera.
        transforms: of the bag.
        size_px: width and height of the RGB picture.
        why: why the other camera is not known, where it is not.

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
            return cv2.resize(image, size_px, interpolation=interpolation(image))

        if other is not None:
            why = 'no camera_info of the RGB camera' if reference is None else 'no static TF'
        return resize, f'taken as aligned: {why or "no camera_info"}'
    homography = reference.matrix @ turn[:3, :3] @ np.linalg.inv(other.matrix)
    undistort = other.undistort()

    def warp(image: np.ndarray) -> np.ndarray:
        if image.shape[1::-1] != other.size_px:
            raise AvdetError(
                f'{other.frame_id}: expected pictures of {other.size_px[0]} x '
                f'{other.size_px[1]} as before, found {image.shape[1]} x {image.shape[0]}'
            )
        flags = interpolation(image)
        return cv2.warpPerspective(undistort(image), homography, size_px, flags=flags)

    how = f' ({other.how})' if other.how else ''
    return warp, f'aligned by camera_info{how} and static TF'


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
