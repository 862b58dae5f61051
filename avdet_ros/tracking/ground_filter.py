"""A filter for one vehicle on the ground plane, fed with bearings and rough ranges.

The state is bearing, logarithm of range and velocity over ground. In these coordinates what is
measured is linear and a range that is wrong by a factor is an error of one size near and far
(log-polar coordinates: La Scala and Morelande 2008, "An analysis of the single sensor
bearings-only tracking problem"; the motion step is an extended Kalman filter's, Bar-Shalom, Li and
Kirubarajan, "Estimation with Applications to Tracking and Navigation", section 10.3). The vehicle
moves at a constant velocity that white acceleration disturbs.

Windows of a second overlap, and a network errs on the same vehicle the same way for a while, so
errors of consecutive measurements are alike. Averaging them as if they were independent would
make a covariance that is far too small. So the state has two more entries, the present error of
bearing and of log-range, which fade with a time of their own: a constant error is never averaged
away. What does make range visible is motion: bearings that change while vehicle and array move by
known or likely amounts.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

BEARING, LOG_RANGE, VX, VY, BEARING_ERROR, LOG_RANGE_ERROR = range(6)
"""Entries of the state."""

NEAREST_M, FARTHEST_M = 1.0, 300.0
"""Ranges are held between these: no vehicle is inside of the array, or audible further away."""

SURPRISING = 1.7
"""A bearing that is more standard deviations off than this makes all that is known wider, until it
is just so many off: the vehicle did what was not expected, or it is another one."""

FASTEST_MPS = 50.0
"""No vehicle drives faster over ground."""

LARGEST_RANGE_ERROR = 2.0
"""No lasting error of a log-range is more standard deviations of a measurement than this."""

_LOG_BOUNDS = np.log([NEAREST_M, FARTHEST_M])
_WIDEST_BEARING_RAD = 2.0
_WIDEST_LOG_RANGE = 1.5


@dataclass(frozen=True)
class GroundNoise:
    """How wrong measurements are and how vehicles move.

    Attributes:
        bearing_rad: white part of a bearing's error, standard deviation.
        bearing_error_rad: lasting part of it.
        bearing_error_s: how long it lasts.
        range_share: white part of a log-range's error, as a share of the measurement's own
            standard deviation.
        range_error_share: lasting part, the same.
        range_error_s: how long it lasts.
        speed_mps: of a vehicle over ground, standard deviation each way, before it is tracked;
            what it drives along the road comes on top.
        acceleration: spectral density of the acceleration, m/s^2 / sqrt(Hz).
    """

    bearing_rad: float = np.radians(0.7)
    bearing_error_rad: float = np.radians(1.0)
    bearing_error_s: float = 1.0
    range_share: float = 0.4
    range_error_share: float = 1.0
    range_error_s: float = 5.0
    speed_mps: float = 10.0
    acceleration: float = 3.5


@dataclass(frozen=True)
class PlaneMeasurement:
    """What one detection says about where its vehicle is, from the array.

    Attributes:
        bearing_rad: in the filter's frame, left positive.
        log_range: logarithm of the distance on the ground, metres.
        log_range_std: standard deviation of that.
    """

    bearing_rad: float
    log_range: float
    log_range_std: float


class GroundFilter:
    """Where one vehicle is and how it moves.

    Attributes:
        state: (6,) float64, see the module.
        covariance: (6, 6) float64.
    """

    def __init__(
        self,
        first: PlaneMeasurement,
        noise: GroundNoise,
        speed_mps: float,
        along_mps: np.ndarray | None = None,
    ) -> None:
        """Start at a measurement with unknown velocity.

        Args:
            first: the first measurement.
            noise: see `GroundNoise`.
            speed_mps: standard deviation of the unknown velocity each way.
            along_mps: (2,) a velocity that it may have on top, one way or the other: one standard
                deviation in that direction.
        """
        self.noise = noise
        self.state = np.array([first.bearing_rad, first.log_range, 0.0, 0.0, 0.0, 0.0])
        self._range_std = first.log_range_std
        lasting = self._lasting()
        white = self._white(first)
        self.covariance = np.diag(
            [*(white + lasting), speed_mps**2, speed_mps**2, *lasting]
        ).astype(np.float64)
        if along_mps is not None:
            self.covariance[VX : VY + 1, VX : VY + 1] += np.outer(along_mps, along_mps)
        for value, error in ((BEARING, BEARING_ERROR), (LOG_RANGE, LOG_RANGE_ERROR)):
            # An error upwards puts the first place as much too high.
            self.covariance[value, error] = self.covariance[error, value] = -lasting[
                error - BEARING_ERROR
            ]
        self._hold()

    def copy(self) -> GroundFilter:
        """A filter of its own with the same values."""
        twin = copy(self)
        twin.state, twin.covariance = self.state.copy(), self.covariance.copy()
        return twin

    def predict(
        self,
        seconds: float,
        array_before_m: np.ndarray,
        array_after_m: np.ndarray,
        extra_m: float = 0.0,
        widening: float = 1.0,
    ) -> None:
        """Move on in time, while the array moves from one place to another.

        Args:
            seconds: at least 0.
            array_before_m: (2,) where the state's bearing and range are seen from.
            array_after_m: (2,) where they are to be seen from.
            extra_m: standard deviation of the array's own movement.
            widening: factor on the spectral density of the acceleration.
        """
        bearing, log_range, vx, vy = self.state[:4]
        distance_m = np.exp(log_range)
        along, across = _directions(bearing)
        relative = (
            array_before_m + distance_m * along + seconds * np.array([vx, vy]) - array_after_m
        )
        after_m = max(float(np.hypot(*relative)), NEAREST_M)
        # What a step of the relative place does to bearing and log-range.
        new_bearing = float(np.arctan2(relative[1], relative[0]))
        new_along, new_across = _directions(new_bearing)
        to_polar = np.stack([new_across, new_along]) / after_m
        step = np.zeros((6, 6))
        step[:2, 0] = to_polar @ (distance_m * across)
        step[:2, 1] = to_polar @ (distance_m * along)
        step[:2, 2:4] = seconds * to_polar
        step[2, 2] = step[3, 3] = 1.0
        fading = np.exp(
            -seconds / np.array([self.noise.bearing_error_s, self.noise.range_error_s])
        )
        step[4, 4], step[5, 5] = fading
        density = (self.noise.acceleration * widening) ** 2
        added = np.zeros((6, 6))
        place = (density * seconds**3 / 3 + extra_m**2) * to_polar @ to_polar.T
        cross = density * seconds**2 / 2 * to_polar
        added[:2, :2] = place
        added[:2, 2:4], added[2:4, :2] = cross, cross.T
        added[2, 2] = added[3, 3] = density * seconds
        added[[4, 5], [4, 5]] = self._lasting() * (1 - fading**2)
        self.state = np.array([new_bearing, np.log(after_m), vx, vy, *(fading * self.state[4:])])
        self.covariance = step @ self.covariance @ step.T + added
        self._hold()

    def correct(self, found: PlaneMeasurement) -> None:
        """Take a measurement."""
        self._range_std = found.log_range_std
        innovation, spread = self.innovation(found)
        surprise = innovation[0] ** 2 / spread[0, 0] / SURPRISING**2
        if surprise > 1:
            self.covariance = self.covariance * surprise
            self._hold()
            innovation, spread = self.innovation(found)
        gain = np.linalg.solve(spread, _SEES @ self.covariance).T
        self.state = self.state + gain @ innovation
        # Joseph's form: stays symmetric and positive whatever the rounding.
        keep = np.eye(6) - gain @ _SEES
        white = np.diag(self._white(found))
        self.covariance = keep @ self.covariance @ keep.T + gain @ white @ gain.T
        self._hold()

    def led_astray(self, fastest_mps: float) -> bool:
        """Whether the state is one that no vehicle and no measurement has.

        Bearings of two vehicles that are taken for one's are explained by a vehicle that is far
        away and very fast, whose measured ranges all err the same way.

        Args:
            fastest_mps: the highest speed that a state can have.
        """
        error = abs(self.state[LOG_RANGE_ERROR])
        fast = float(np.hypot(*self.state[[VX, VY]])) > fastest_mps
        return fast or bool(error > LARGEST_RANGE_ERROR * self._range_std)

    def innovation(self, found: PlaneMeasurement) -> tuple[np.ndarray, np.ndarray]:
        """What a measurement differs by from what is expected, and the covariance of that.

        Returns:
            (2,) bearing, log-range; (2, 2).
        """
        expected = _SEES @ self.state
        apart = np.array([wrap(found.bearing_rad - expected[0]), found.log_range - expected[1]])
        return apart, _SEES @ self.covariance @ _SEES.T + np.diag(self._white(found))

    def turn(self, angle_rad: float, velocity_mps: np.ndarray, velocity_std_mps: float) -> None:
        """Describe the vehicle in another frame.

        Args:
            angle_rad: of the new frame's bearings less the old one's.
            velocity_mps: (2,) to be added to the velocity, in the new frame.
            velocity_std_mps: how uncertain that is each way.
        """
        cos, sin = np.cos(angle_rad), np.sin(angle_rad)
        turned = np.eye(6)
        turned[2:4, 2:4] = [[cos, -sin], [sin, cos]]
        self.state = turned @ self.state
        self.state[BEARING] = wrap(self.state[BEARING] + angle_rad)
        self.state[2:4] += velocity_mps
        self.covariance = turned @ self.covariance @ turned.T
        self.covariance[[2, 3], [2, 3]] += velocity_std_mps**2

    def on_plane(self) -> tuple[np.ndarray, np.ndarray]:
        """Place from the array, and velocity, as x and y in the filter's frame.

        A log-range with a normal error is a range whose mean lies above its median. The place is
        the median's, which is as often too near as too far; the covariance is the second moment
        about it, the rest is linear.

        Returns:
            (4,) x, y, metres, vx, vy, metres a second; (4, 4) their covariance.
        """
        variance = self.covariance[LOG_RANGE, LOG_RANGE]
        median_m = float(np.exp(self.state[LOG_RANGE]))
        range_m = float(np.exp(self.state[LOG_RANGE] + variance / 2))
        along, across = _directions(self.state[BEARING])
        to_plane = np.zeros((4, 4))
        to_plane[:2, 0], to_plane[:2, 1] = range_m * across, range_m * along
        to_plane[2, 2] = to_plane[3, 3] = 1.0
        covariance = to_plane @ self.covariance[:4, :4] @ to_plane.T
        # exp(v) - 1 in place of v, along the line of sight, and what the mean is off the median
        surplus = (np.expm1(variance) - variance) * range_m**2 + (range_m - median_m) ** 2
        covariance[:2, :2] += surplus * np.outer(along, along)
        return np.array([*(median_m * along), *self.state[2:4]]), (covariance + covariance.T) / 2

    def _lasting(self) -> np.ndarray:
        """(2,) variances of the lasting errors."""
        return (
            np.array(
                [self.noise.bearing_error_rad, self.noise.range_error_share * self._range_std]
            )
            ** 2
        )

    def _white(self, found: PlaneMeasurement) -> np.ndarray:
        """(2,) variances of the white errors."""
        return (
            np.array([self.noise.bearing_rad, self.noise.range_share * found.log_range_std]) ** 2
        )

    def _hold(self) -> None:
        """Keep the state where the linear steps hold: an angle, a range that can be heard."""
        self.state[BEARING] = wrap(self.state[BEARING])
        self.state[LOG_RANGE] = np.clip(self.state[LOG_RANGE], *_LOG_BOUNDS)
        self.covariance = (self.covariance + self.covariance.T) / 2
        widest = np.full(6, np.inf)
        widest[[BEARING, LOG_RANGE]] = _WIDEST_BEARING_RAD, _WIDEST_LOG_RANGE
        widest[[VX, VY]] = 100.0
        scale = np.minimum(1.0, widest / np.sqrt(np.maximum(np.diag(self.covariance), 1e-18)))
        self.covariance *= scale[:, None] * scale


_SEES = np.zeros((2, 6))
_SEES[0, [BEARING, BEARING_ERROR]] = 1.0
_SEES[1, [LOG_RANGE, LOG_RANGE_ERROR]] = 1.0


def wrap(angle_rad: float) -> float:
    """An angle as one from -pi to pi."""
    return float((angle_rad + np.pi) % (2 * np.pi) - np.pi)


def _directions(bearing: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors away from the array and, a quarter turn to the left, across."""
    cos, sin = np.cos(bearing), np.sin(bearing)
    return np.array([cos, sin]), np.array([-sin, cos])
