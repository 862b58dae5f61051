"""Convert the vehicle's motion between a bag's topics and a drive's odometry file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.bags.array_motion import BagMotion
from avdet_ros.dataset.odometry import FRAME, STEP_S, Odometry, read_air_c, read_odometry
from avdet_ros.messages.encode_offline import make_header, make_odometry, make_temperature
from avdet_ros.rig import Rig
from avdet_ros.tracking.ego_motion import MEAN_OVER_S

ODOM, AIR = '/avdet/odom', '/avdet/air_temperature'

_AIR_EVERY_NS = 1_000_000_000


@dataclass(frozen=True)
class DriveMotion:
    """Motion and air temperature of a drive, read from a bag.

    Attributes:
        odometry: None if the bag contains none.
        air_c: air temperature, None if the bag contains none.
        sentence: how much of the speed is known; '' without an odometry topic.
    """

    odometry: Odometry | None
    air_c: float | None
    sentence: str


def drive_motion(motion: BagMotion, start_ns: int, end_ns: int) -> DriveMotion:
    """Sample a drive's motion at the steps of `avdet_ros.dataset.odometry`.

    Args:
        motion: of the bag, not queried before.
        start_ns: start of the drive's sound.
        end_ns: end of the drive's sound.
    """
    recorded_c = [(stamp, celsius) for stamp, celsius in motion.airs if stamp <= end_ns]
    # A temperature from before the drive, or without a stamp, is valid until the next one.
    airs_c = [celsius for stamp, celsius in recorded_c if stamp >= start_ns] or [
        celsius for _, celsius in recorded_c[-1:]
    ]
    air_c = round(float(np.median(airs_c)), 2) if airs_c else None
    if motion.topic is None:
        return DriveMotion(None, air_c, '')
    steps = int((end_ns - start_ns) * 1e-9 / STEP_S) + 1
    # Motion before the first pose is unknown, and so is the mean speed around it.
    first_ns = end_ns if motion.first_ns is None else motion.first_ns
    fast_ns = first_ns + round(MEAN_OVER_S / 2 * 1e9)
    stamps: list[int] = []
    rows: list[tuple[float, float, float, float]] = []
    for step in range(steps):
        stamp_ns = start_ns + round(step * STEP_S * 1e9)
        pose, speed_mps = motion.in_middle(stamp_ns + round(motion.half_s * 1e9))
        if pose is not None and stamp_ns >= first_ns:
            ahead_mps = math.nan if speed_mps is None or stamp_ns < fast_ns else speed_mps
            stamps.append(stamp_ns)
            rows.append((pose.x_m, pose.y_m, pose.yaw_rad, ahead_mps))
    known = sum(math.isfinite(row[-1]) for row in rows)
    sentence = f'own speed from {motion.topic}, known in {known / steps:.0%} of the drive'
    if not rows:
        return DriveMotion(None, air_c, sentence)
    x_m, y_m, yaw_rad, ahead = np.array(rows, np.float64).T
    path = Odometry(np.array(stamps, np.int64), x_m, y_m, yaw_rad, ahead)
    return DriveMotion(path, air_c, sentence)


def odometry_messages(folder: Path, rig: Rig) -> Iterator[tuple[int, str, Any]]:
    """Yield a drive's poses as a vehicle publishes them: stamp, topic and message.

    Raises:
        AvdetError: the drive's odometry file is damaged.
    """
    path = read_odometry(folder)
    if path is None or not len(path):
        return
    turning = np.zeros(len(path))
    if len(path) > 1:
        turning = np.gradient(np.unwrap(path.yaw_rad), (path.stamps_ns - path.stamps_ns[0]) * 1e-9)
    rows = zip(
        path.stamps_ns, path.x_m, path.y_m, path.yaw_rad, path.ahead_mps, turning, strict=True
    )
    for stamp, x_m, y_m, yaw_rad, ahead_mps, turning_rad_s in rows:
        header = make_header(int(stamp), FRAME)
        ahead = float(ahead_mps) if math.isfinite(ahead_mps) else 0.0
        pose = float(x_m), float(y_m), float(yaw_rad)
        message = make_odometry(header, rig.frame_id, pose, ahead, float(turning_rad_s))
        yield int(stamp), ODOM, message


def air_messages(
    folder: Path, rig: Rig, start_ns: int, seconds: float
) -> Iterator[tuple[int, str, Any]]:
    """Yield a drive's air temperature once a second, as a simulated vehicle publishes it.

    Raises:
        AvdetError: the temperature in the drive's parameters is invalid.
    """
    air_c = read_air_c(folder)
    if air_c is None:
        return
    for second in range(math.ceil(seconds)):
        stamp = start_ns + second * _AIR_EVERY_NS
        yield stamp, AIR, make_temperature(make_header(stamp, rig.frame_id), air_c)
