"""Motion of the ego vehicle in the plane, from odometry that may jump, stop or go back in time.

Poses are joined to one path without jumps. Only differences of poses are used: if a step is faster
than any vehicle, it is left out and the previous motion is extrapolated. When poses stop, the path
is extrapolated for a moment; after that the motion is unknown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
import math
import threading

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.tracking.ground_filter import wrap

CARRIED_ON_S = 0.5
"""How long a path is extrapolated at its last speed."""

FASTEST_MPS, FASTEST_RAD_S = 100.0, 4.0
"""A step faster than this is a jump."""

LARGEST_M = 1e7
"""Positions beyond this are refused."""

MEAN_OVER_S = 0.5
"""Averaging time of a speed: half a window. It ends before the window does, so that odometry has
arrived by the time the window has."""

_KEPT_S = 20.0
_MOST_KEPT = 20_000
_SHORTEST_S = 1e-3
_JUMP_M, _JUMP_RAD = 0.5, 0.1
_SPEED_OVER_S = 0.1


@dataclass(frozen=True)
class PlanarPose:
    """Pose of base_link in a fixed frame.

    Attributes:
        x_m: position.
        y_m: position.
        yaw_rad: rotation to the left.
    """

    x_m: float
    y_m: float
    yaw_rad: float

    def place(self, point_m: np.ndarray) -> np.ndarray:
        """Transform a point from base_link to the fixed frame, (2,)."""
        cos, sin = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        x, y = point_m[0], point_m[1]
        return np.array([self.x_m + cos * x - sin * y, self.y_m + sin * x + cos * y])


class EgoMotion:
    """Path of the ego vehicle over the last seconds; one thread may add poses while others read.

    Attributes:
        jumps: number of steps that were left out.
        returns: how often time went back.
    """

    def __init__(self) -> None:
        """Start without a path."""
        self.jumps = self.returns = 0
        self._lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget the path."""
        self._path: deque[tuple[float, PlanarPose]] = deque(maxlen=_MOST_KEPT)
        self._raw: tuple[float, PlanarPose] | None = None

    def add(self, stamp_s: float, x_m: float, y_m: float, yaw_rad: float) -> str:
        """Add a pose.

        Args:
            stamp_s: stamp of the pose.
            x_m: position in a fixed frame.
            y_m: position in a fixed frame.
            yaw_rad: rotation to the left.

        Returns:
            A description of what is wrong with it, '' if nothing is.

        Raises:
            AvdetError: a value is not a finite number; the path is unchanged.
        """
        with self._lock:
            return self._add(stamp_s, x_m, y_m, yaw_rad)

    def _add(self, stamp_s: float, x_m: float, y_m: float, yaw_rad: float) -> str:
        values = (stamp_s, x_m, y_m, yaw_rad)
        if not all(map(math.isfinite, values)) or max(abs(x_m), abs(y_m)) > LARGEST_M:
            raise AvdetError(
                f'odometry: expected finite metres and radians within {LARGEST_M:g} m, found '
                f'x {x_m}, y {y_m}, yaw {yaw_rad} at {stamp_s}'
            )
        pose = PlanarPose(x_m, y_m, wrap(yaw_rad))
        if self._raw is None:
            self._raw = (stamp_s, pose)
            self._path.append((stamp_s, pose))
            return ''
        before_s, before = self._raw
        seconds = stamp_s - before_s
        if seconds < -_KEPT_S / 4:
            self.returns += 1
            self.clear()
            self._add(*values)
            return (
                f'odometry: expected rising stamps, found one {-seconds:.3f} s back: started again'
            )
        if seconds < _SHORTEST_S:
            return (
                ''
                if seconds > -_SHORTEST_S
                else (
                    f'odometry: expected rising stamps, found one {-seconds:.3f} s back: left out'
                )
            )
        self._raw = (stamp_s, pose)
        step = _relative(before, pose)
        distance_m, turn = math.hypot(step.x_m, step.y_m), abs(step.yaw_rad)
        problem = ''
        if (
            distance_m > FASTEST_MPS * seconds + _JUMP_M
            or turn > FASTEST_RAD_S * seconds + _JUMP_RAD
        ):
            self.jumps += 1
            problem = (
                f'odometry: expected steps of a vehicle, found one of {distance_m:.1f} m and '
                f'{math.degrees(turn):.0f} degrees in {seconds:.3f} s: left out'
            )
            step = _scaled(self._speed(), min(seconds, CARRIED_ON_S))
        self._path.append((stamp_s, _joined(self._path[-1][1], step)))
        while self._path[0][0] < stamp_s - _KEPT_S:
            self._path.popleft()
        return problem

    def at(self, stamp_s: float) -> PlanarPose | None:
        """Return the pose at an instant on the path without jumps, None if it is unknown."""
        with self._lock:
            return self._at(stamp_s)

    def _at(self, stamp_s: float) -> PlanarPose | None:
        if len(self._path) < 2 or stamp_s < self._path[0][0] - CARRIED_ON_S:
            return None
        index = bisect_right(self._path, stamp_s, key=lambda entry: entry[0])
        if index == len(self._path):
            last_s, last = self._path[-1]
            if stamp_s - last_s > CARRIED_ON_S:
                return None
            return _joined(last, _scaled(self._speed(), stamp_s - last_s))
        if index == 0:
            first_s, first = self._path[0]
            return _joined(first, _scaled(self._first_speed(), first_s - stamp_s))
        (early_s, early), (late_s, late) = self._path[index - 1], self._path[index]
        share = (stamp_s - early_s) / (late_s - early_s)
        step = _relative(early, late)
        return _joined(early, _scaled(step, share))

    def speed_mps(self, stamp_s: float) -> float | None:
        """Return the speed along the vehicle's heading around an instant, negative backwards.

        It is the mean over `MEAN_OVER_S` centred on the instant. So it needs only poses, which all
        odometry has, and does not depend on how the poses arrived.

        Returns:
            None if the path is unknown, or too fast for a vehicle.
        """
        half_s = MEAN_OVER_S / 2
        with self._lock:
            before, now, after = (self._at(stamp_s + part) for part in (-half_s, 0.0, half_s))
        if before is None or now is None or after is None:
            return None
        x, y = after.x_m - before.x_m, after.y_m - before.y_m
        speed = (math.cos(now.yaw_rad) * x + math.sin(now.yaw_rad) * y) / MEAN_OVER_S
        return speed if abs(speed) <= FASTEST_MPS else None

    def in_frame(self, stamp_s: float) -> PlanarPose | None:
        """Return the pose at an instant in odometry's own frame, including its last jump.

        Maps are in that frame; `at` is for differences, which must not contain jumps.
        """
        with self._lock:
            pose = self._at(stamp_s)
            if pose is None or self._raw is None:
                return None
            return _joined(self._raw[1], _relative(self._path[-1][1], pose))

    def newest_s(self) -> float:
        """Return the stamp of the newest pose; minus infinity without any."""
        return self._path[-1][0] if self._path else -math.inf

    def _first_speed(self) -> PlanarPose:
        """Initial velocity backwards in time, over a tenth of a second if the path has it."""
        first_s, first = self._path[0]
        later_s, later = next(
            (entry for entry in self._path if entry[0] - first_s >= _SPEED_OVER_S), self._path[-1]
        )
        return _scaled(_relative(later, first), 1 / max(later_s - first_s, _SHORTEST_S))

    def _speed(self) -> PlanarPose:
        """Latest velocity in base_link, over at least a tenth of a second."""
        if len(self._path) < 2:
            return PlanarPose(0.0, 0.0, 0.0)
        last_s, last = self._path[-1]
        index = len(self._path) - 2
        while index > 0 and last_s - self._path[index][0] < _SPEED_OVER_S:
            index -= 1
        first_s, first = self._path[index]
        return _scaled(_relative(first, last), 1 / max(last_s - first_s, _SHORTEST_S))


def _relative(before: PlanarPose, after: PlanarPose) -> PlanarPose:
    """The second pose relative to the first."""
    x, y = after.x_m - before.x_m, after.y_m - before.y_m
    cos, sin = math.cos(before.yaw_rad), math.sin(before.yaw_rad)
    return PlanarPose(cos * x + sin * y, cos * y - sin * x, wrap(after.yaw_rad - before.yaw_rad))


def _joined(pose: PlanarPose, step: PlanarPose) -> PlanarPose:
    x, y = pose.place(np.array([step.x_m, step.y_m]))
    return PlanarPose(float(x), float(y), wrap(pose.yaw_rad + step.yaw_rad))


def _scaled(step: PlanarPose, share: float) -> PlanarPose:
    return PlanarPose(step.x_m * share, step.y_m * share, step.yaw_rad * share)
