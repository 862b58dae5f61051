"""Compare the running camera with the rig file: size, lens, stamps and pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from avdet_ros.bags.camera_info import CameraModel, info_topic, is_rectified, model_of
from avdet_ros.bags.transforms import StaticTransforms
from avdet_ros.checkup.finding import Finding, not_checked, ok, to_do
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig, yaw_pitch_roll_deg

FOCAL_PART = 0.02
"""Tolerance of the focal length, as for models for one rig: half a degree at the image edge."""

PRINCIPAL_PART = 0.01
PLACE_M = 0.05
TURN_DEG = 0.5
"""Tolerance of the orientation; at 20 m, 0.5 degrees are a fifth of a car's width."""

LATEST_S = 1.0
"""Maximum age of a picture's stamp; a larger difference means a different clock."""

FROM_BAG = 'record a minute of camera_info and /tf_static and take them over: avdet rig from-bag'


@dataclass(frozen=True)
class CameraSeen:
    """Data received from a camera within some seconds.

    Attributes:
        topic: topic of the pictures.
        size_px: width and height of the pictures; None if none arrived.
        frame_id: frame_id of the pictures.
        ages_s: time from stamp to arrival of each picture; NaN without a stamp.
        info: the first calibrated ``sensor_msgs/CameraInfo``, or None.
        transforms: transforms on ``/tf_static``.
        others: other image topics.
    """

    topic: str
    size_px: tuple[int, int] | None = None
    frame_id: str = ''
    ages_s: Sequence[float] = ()
    info: Any = None
    transforms: StaticTransforms = field(default_factory=StaticTransforms)
    others: Sequence[str] = ()


def judge_camera(rig: Rig, seen: CameraSeen) -> list[Finding]:
    """Return the findings `camera`, `stamps` and `TF`.

    Args:
        rig: the rig file.
        seen: data received from the camera.
    """
    if seen.size_px is None:
        return _nothing(seen)
    return [_lens(rig, seen), _stamps(seen), _place(rig, seen)]


def _nothing(seen: CameraSeen) -> list[Finding]:
    rest = [not_checked(part, 'no pictures arrived') for part in ('stamps', 'TF')]
    if not seen.topic:
        topics = ', '.join(seen.others)
        step = f'name one with --image: {topics}' if topics else 'start its driver, name its topic'
        found = 'none of several image topics was named' if topics else 'no image topic is there'
        return [not_checked('camera', found, step), *rest]
    topics = f'; there are {", ".join(seen.others)}' if seen.others else ''
    step = f'start the driver, or name another topic with --image{topics}'
    return [to_do('camera', f'no picture arrived on {seen.topic}', step), *rest]


def _lens(rig: Rig, seen: CameraSeen) -> Finding:
    topic, size = info_topic(seen.topic), seen.size_px
    rig_size = (rig.camera.width_px, rig.camera.height_px)
    if seen.info is None:
        step = (
            'calibrate it (ros2 run camera_calibration cameracalibrator) and publish camera_info'
        )
        if size != rig_size:
            found = (
                f'{seen.topic} is {_by(size)}, the rig {_by(rig_size)}, '
                f'nothing calibrated on {topic}'
            )
            return to_do('camera', found, step)
        return not_checked('camera', f'{seen.topic} is {_by(size)}; nothing calibrated on {topic}')
    try:
        model = model_of(seen.info, size, is_rectified(seen.topic), topic, seen.frame_id)
    except AvdetError as error:
        return to_do('camera', str(error), 'calibrate it again in the size that is published')
    difference = lens_difference(rig, model)
    if difference:
        return to_do('camera', f'{seen.topic}: {difference}', FROM_BAG)
    if model.distortion.any():
        step = (
            'boxes lie on the picture without distortion: rectify it (image_proc), show that; '
            'avdet bag to-dataset does so automatically'
        )
        return to_do('camera', f'{seen.topic} is as the rig says, with distortion', step)
    return ok('camera', f'{seen.topic} is {_by(size)}, size and lens as the rig says')


def lens_difference(rig: Rig, model: CameraModel) -> str:
    """Describe how size or matrix differ from the rig; '' if they agree."""
    camera, matrix = rig.camera, model.matrix
    if model.size_px != (camera.width_px, camera.height_px):
        return (
            f'{_by(model.size_px)} pixels, the rig has {_by((camera.width_px, camera.height_px))}'
        )
    focal = np.array([matrix[0, 0], matrix[1, 1]])
    rig_focal = np.array([camera.fx, camera.fy])
    if np.abs(focal / rig_focal - 1).max() > FOCAL_PART:
        return f'focal length {_pair(focal)} px, the rig has {_pair(rig_focal)}'
    principal, rig_principal = matrix[:2, 2], np.array([camera.cx, camera.cy])
    if np.abs(principal - rig_principal).max() > PRINCIPAL_PART * camera.width_px:
        return f'principal point {_pair(principal)} px, the rig has {_pair(rig_principal)}'
    return ''


def _stamps(seen: CameraSeen) -> Finding:
    ages_s = np.array(seen.ages_s, np.float64)
    if np.isnan(ages_s).any():
        step = "make the driver stamp pictures with the time of exposure, on this machine's clock"
        return to_do('stamps', f'{seen.topic} has pictures without a stamp', step)
    middle_s = float(np.median(ages_s))
    found = f'pictures arrive {1e3 * middle_s:.0f} ms after their stamps'
    if abs(middle_s) > LATEST_S or middle_s < -0.01:
        step = 'put both machines on one clock (chrony, PTP), or make the driver use system time'
        return to_do('stamps', found, step)
    return ok('stamps', found)


def _place(rig: Rig, seen: CameraSeen) -> Finding:
    frame = seen.frame_id or rig.camera.frame_id
    pose, note = seen.transforms.camera_pose(rig.frame_id, frame)
    if pose is None:
        step = f'publish {rig.frame_id} -> {frame} as a static transform'
        return not_checked('TF', f'{note}; the rig file alone says where the camera is', step)
    apart_m = float(np.linalg.norm(pose[:3, 3] - rig.camera.position_m))
    # The optical frame's axes in the vehicle, as in `Camera.rotation`.
    turn_deg = float(
        np.degrees(Rotation.from_matrix(pose[:3, :3] @ rig.camera.rotation).magnitude())
    )
    if apart_m > PLACE_M or turn_deg > TURN_DEG:
        tf_angles = yaw_pitch_roll_deg(pose[:3, :3].T)
        rig_angles = yaw_pitch_roll_deg(rig.camera.rotation)
        found = (
            f'{frame} is {apart_m:.2f} m and {turn_deg:.1f} degrees from where the rig file has '
            f'the camera (yaw, pitch, roll {_angles(tf_angles)}, the rig {_angles(rig_angles)})'
        )
        return to_do('TF', found, f'measure which is right; {FROM_BAG}')
    remark = f' ({note})' if note else ''
    return ok('TF', f'{frame} is where the rig file says, within {apart_m * 100:.0f} cm{remark}')


def _by(size: tuple[int, int] | None) -> str:
    return f'{size[0]} x {size[1]}' if size else 'none'


def _pair(values: np.ndarray) -> str:
    return ', '.join(f'{value:.0f}' for value in values)


def _angles(values: np.ndarray) -> str:
    return ', '.join(f'{value:.1f}' for value in values)
