"""Camera geometry of a bag: build a rig file and image maps from camera_info and static TF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from avdet_ros.bags.camera_info import CameraModel, interpolation
from avdet_ros.bags.transforms import StaticTransforms, put_poses
from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path, load_rig, parse_rig


def alignment(
    reference: CameraModel | None,
    other: CameraModel | None,
    transforms: StaticTransforms,
    size_px: tuple[int, int],
    reason: str = '',
) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Align pictures of another camera with the RGB camera's.

    The homography H = K_rgb R K_other^-1 compares directions, so it is exact for distant objects;
    a baseline of 0.1 m shifts a vehicle at 20 m by 5 of 1000 pixels.

    Args:
        reference: the RGB camera.
        other: the other camera.
        transforms: static transforms of the bag.
        size_px: width and height of the RGB picture.
        reason: why the other camera is unknown, if it is.

    Returns:
        align: maps a picture to the RGB picture's size.
        how: description of the method, for the report.
    """
    turn = None
    if reference is not None and other is not None:
        turn = transforms.turn(reference.frame_id, other.frame_id)
    if reference is None or other is None or turn is None:

        def resize(image: np.ndarray) -> np.ndarray:
            if image.shape[1::-1] == size_px:
                return image
            return cv2.resize(image, size_px, interpolation=interpolation(image))

        if other is not None:
            reason = 'no camera_info of the RGB camera'
            if reference is not None:
                reason = transforms.why_not(reference.frame_id, other.frame_id)
        return resize, f'taken as aligned: {reason or "no camera_info"}'
    homography = reference.matrix @ turn @ np.linalg.inv(other.matrix)
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
) -> tuple[dict[str, Any], list[str]]:
    """Load a rig file and replace what the bag knows better.

    Args:
        rig_path: the file to start from; None uses the package's.
        camera: the RGB camera, for size, K and frame.
        transforms: static transforms, for the poses of camera and array in the vehicle.

    Returns:
        tree: content of the rig file.
        notes: sentences about poses that do not come from the bag.

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
    notes = put_poses(tree, rig.frame_id, rig.array_frame_id, transforms, rig_path)
    parse_rig(tree, where=f'{path} with camera_info and static TF of the bag')
    return tree, notes
