"""Kalman filter for one vehicle on the ground plane, from bearings and rough ranges.

The state is bearing, logarithm of range and velocity over ground. In these coordinates the
measurement is linear, and a range that is wrong by some factor is an error of the same size near
and far (log-polar coordinates: La Scala and Morelande 2008, "An analysis of the single sensor
bearings-only tracking problem"; the motion step is that of an extended Kalman filter, Bar-Shalom,
Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation", section 10.3). The
vehicle moves at a constant velocity disturbed by white acceleration.

Windows of one second overlap, and a network makes the same error on the same vehicle for a while,
so errors of consecutive measurements are correlated. Averaging them as if they were independent
would make the covariance far too small. Therefore the state has two more entries, the current
errors of bearing and of log-range, each of which decays with its own time constant: a constant
error is never averaged away. Range becomes observable through motion: bearings change while
vehicle and array move by known or likely amounts.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

BEARING, LOG_RANGE, VX, VY, BEARING_ERROR, LOG_RANGE_ERROR = range(6)
"""Indices of the state's entries."""

NEAREST_M, FARTHEST_M = 1.0, 300.0
"""Limits of ranges: no vehicle is inside the array, or audible from further away."""

SURPRISING = 1.7
"""If a bearing is off by more standard deviations than this, the whole covariance is widened until
it is off by exactly this much: the vehicle moved unexpectedly, or it is another one."""

FASTEST_MPS = 50.0
"""Highest speed of a vehicle over ground."""

LARGEST_RANGE_ERROR = 2.0
"""Largest lasting error of a log-range, in standard deviations of a measurement."""

_LOG_BOUNDS = np.log([NEAREST_M, FARTHEST_M])
_WIDEST_BEARING_RAD = 2.0
_WIDEST_LOG_RANGE = 1.5


@dataclass(frozen=True)
class GroundNoise:
    """Noise of measurements and of vehicle motion.

    Attributes:
        bearing_rad: white part of a bearing's error, standard deviation.
        bearing_error_rad: lasting part of a bearing's error, standard deviation.
        bearing_error_s: decay time of the lasting part.
        range_share: white part of a log-range's error, as a share of the measurement's own
            standard deviation.
        range_error_share: lasting part of a log-range's error, in the same unit.
        range_error_s: decay time of the lasting part.
        speed_mps: speed of a vehicle over ground before it is tracked, standard deviation along
            each axis; the speed along the road is added to it.
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
    """Position of one detected vehicle relative to the array.

    Attributes:
        bearing_rad: bearing in the filter's frame, left positive.
        log_range: logarithm of the distance on the ground, metres.
        log_range_std: standard deviation of ``log_range``.
    """

    bearing_rad: float
    log_range: float
    log_range_std: float


class GroundFilter:
    """Position and velocity of one vehicle.

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
            speed_mps: standard deviation of the unknown velocity along each axis.
            along_mps: (2,) a velocity that the vehicle may have in addition, in either direction:
                one standard deviation along that direction.
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
            # A positive error shifts the first estimate by the same amount.
            self.covariance[value, error] = self.covariance[error, value] = -lasting[
                error - BEARING_ERROR
            ]
        self._limit()

    def copy(self) -> GroundFilter:
        """Return an independent copy."""
        duplicate = copy(self)
        duplicate.state, duplicate.covariance = self.state.copy(), self.covariance.copy()
        return duplicate

    def predict(
        self,
        seconds: float,
        array_before_m: np.ndarray,
        array_after_m: np.ndarray,
        extra_m: float = 0.0,
        widening: float = 1.0,
    ) -> None:
        """Predict the state some seconds later, while the array moves.

        Args:
            seconds: at least 0.
            array_before_m: (2,) position of the array to which the state refers.
            array_after_m: (2,) position of the array to which the prediction refers.
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
        # Jacobian of bearing and log-range with respect to the relative position.
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
        self._limit()

    def correct(self, measurement: PlaneMeasurement) -> None:
        """Correct the state with a measurement."""
        self._range_std = measurement.log_range_std
        innovation, spread = self.innovation(measurement)
        surprise = innovation[0] ** 2 / spread[0, 0] / SURPRISING**2
        if surprise > 1:
            self.covariance = self.covariance * surprise
            self._limit()
            innovation, spread = self.innovation(measurement)
        gain = np.linalg.solve(spread, _SEES @ self.covariance).T
        self.state = self.state + gain @ innovation
        # Joseph's form stays symmetric and positive despite rounding.
        keep = np.eye(6) - gain @ _SEES
        white = np.diag(self._white(measurement))
        self.covariance = keep @ self.covariance @ keep.T + gain @ white @ gain.T
        self._limit()

    def is_implausible(self, fastest_mps: float) -> bool:
        """Whether the state is impossible for a real vehicle and real measurements.

        If the bearings of two vehicles are mistaken for those of one, they look like a vehicle
        that is far away and very fast, and whose measured ranges all err the same way.

        Args:
            fastest_mps: the highest speed that a state can have.
        """
        error = abs(self.state[LOG_RANGE_ERROR])
        fast = float(np.hypot(*self.state[[VX, VY]])) > fastest_mps
        return fast or bool(error > LARGEST_RANGE_ERROR * self._range_std)

    def innovation(self, measurement: PlaneMeasurement) -> tuple[np.ndarray, np.ndarray]:
        """Return the difference of a measurement from its prediction, and its covariance.

        Returns:
            (2,) bearing, log-range; (2, 2).
        """
        expected = _SEES @ self.state
        apart = np.array(
            [wrap(measurement.bearing_rad - expected[0]), measurement.log_range - expected[1]]
        )
        return apart, _SEES @ self.covariance @ _SEES.T + np.diag(self._white(measurement))

    def turn(self, angle_rad: float, velocity_mps: np.ndarray, velocity_std_mps: float) -> None:
        """Transform the state to another frame.

        Args:
            angle_rad: bearings in the new frame minus those in the old one.
            velocity_mps: (2,) velocity to add, in the new frame.
            velocity_std_mps: its standard deviation along each axis.
        """
        cos, sin = np.cos(angle_rad), np.sin(angle_rad)
        rotation = np.eye(6)
        rotation[2:4, 2:4] = [[cos, -sin], [sin, cos]]
        self.state = rotation @ self.state
        self.state[BEARING] = wrap(self.state[BEARING] + angle_rad)
        self.state[2:4] += velocity_mps
        self.covariance = rotation @ self.covariance @ rotation.T
        self.covariance[[2, 3], [2, 3]] += velocity_std_mps**2

    def on_plane(self) -> tuple[np.ndarray, np.ndarray]:
        """Return position relative to the array, and velocity, as x and y in the filter's frame.

        If the error of a log-range is normal, the mean of the range is above its median. The
        position uses the median, which is as often too near as too far; the covariance is the
        second moment about it. Everything else is linear.

        Returns:
            (4,) x, y, metres, vx, vy, metres per second; (4, 4) their covariance.
        """
        variance = self.covariance[LOG_RANGE, LOG_RANGE]
        median_m = float(np.exp(self.state[LOG_RANGE]))
        range_m = float(np.exp(self.state[LOG_RANGE] + variance / 2))
        along, across = _directions(self.state[BEARING])
        to_plane = np.zeros((4, 4))
        to_plane[:2, 0], to_plane[:2, 1] = range_m * across, range_m * along
        to_plane[2, 2] = to_plane[3, 3] = 1.0
        covariance = to_plane @ self.covariance[:4, :4] @ to_plane.T
        # Along the line of sight: exp(v) - 1 instead of v, and the mean's offset from the median.
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

    def _white(self, measurement: PlaneMeasurement) -> np.ndarray:
        """(2,) variances of the white errors."""
        return (
            np.array([self.noise.bearing_rad, self.noise.range_share * measurement.log_range_std])
            ** 2
        )

    def _limit(self) -> None:
        """Keep the state where linearisation is valid: a wrapped angle, an audible range."""
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
    """Wrap an angle to -pi to pi."""
    return float((angle_rad + np.pi) % (2 * np.pi) - np.pi)


def _directions(bearing: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors away from the array and across, a quarter turn to the left."""
    cos, sin = np.cos(bearing), np.sin(bearing)
    return np.array([cos, sin]), np.array([-sin, cos])
