"""Convert the sound card's sample count to ROS time.

The two clocks differ. The card's crystal is off by up to 100 ppm, a third of a second per hour,
and each reading of the ROS clock is late by as long as the machine was busy. But readings are
never early. So the true relation is the lower edge of (ROS time - sample time): a line whose
height is the offset and whose slope is the drift, and on which the promptest readings lie.

Of all lines below the readings, the one nearest to them on average is used. This is a linear
program; its solution is the edge of the lower convex hull under their mean; after S. Moon,
P. Skelly and D. Towsley, "Estimation and removal of clock skew from network delay measurements",
INFOCOM 1999.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

BIN_S = 1.0
"""Only the promptest reading of each interval of this length is kept."""

MEMORY_BINS = 120
"""Number of intervals used for the line: long enough to average out hiccups, short enough to
follow the temperature."""

LARGEST_DRIFT = 500e-6
"""Largest plausible drift; crystals are better, so a steeper line is noise."""

STEP_S = 0.010
"""If all readings are off the line by more than this for a while, a clock has stepped."""

JUMP_S = 1.0
"""A single reading off by more than this means that a clock was set: no reading is so late."""

_FIRST_SLOPE_BINS = 5
_STEP_EARLY_READINGS = 3
_STEP_LATE_S = 1.0


@dataclass(frozen=True)
class ClockLine:
    """A line from sample time to ROS time, as estimated at one moment.

    Attributes:
        origin: sample time and ROS time at which the line's coordinates start, seconds.
        height_s: height of the line at the origin.
        drift: slope of the line.
    """

    origin: tuple[float, float]
    height_s: float
    drift: float

    def to_ros(self, sample_time_s: float) -> float:
        """Return the ROS time in seconds at which a sample was captured."""
        x = sample_time_s - self.origin[0]
        return self.origin[1] + x + (self.height_s + self.drift * x)


class SampleClock:
    """Estimates the line from sample time to ROS time from many readings.

    Sample time is a sample's number divided by the nominal sample rate, in seconds.

    Attributes:
        drift: how much faster ROS time runs than sample time, e.g. 1e-4 for 100 ppm.
        jumps: number of clock steps detected.
        lateness_s: how late the newest reading was, seconds.
    """

    def __init__(self) -> None:
        self.jumps = 0
        self.reset()

    @property
    def ready(self) -> bool:
        """Whether there has been a reading, so that a mapping exists."""
        return self._origin is not None

    def reset(self) -> None:
        """Discard all readings, e.g. because the source was reopened."""
        self.drift = 0.0
        self.lateness_s = 0.0
        self._origin: tuple[float, float] | None = None
        self._bin_start = 0.0
        self._best = (0.0, 0.0)

    def update(self, sample_time_s: float, ros_time_s: float) -> bool:
        """Add one reading.

        Args:
            sample_time_s: sample time of some sample.
            ros_time_s: ROS time at which that sample was captured, or later.

        Returns:
            True if the reading shows that a clock stepped; the line is then restarted.
        """
        if self._origin is None:
            self._begin(sample_time_s, ros_time_s)
            return False
        x = sample_time_s - self._origin[0]
        y = (ros_time_s - self._origin[1]) - x
        self.lateness_s = y - self._line_at(x)
        if self._stepped(x):
            self.jumps += 1
            self._begin(sample_time_s, ros_time_s)
            return True
        if self.lateness_s < -STEP_S:  # the card's clock slipped, or a backward step begins
            return False
        if self.lateness_s < 0:  # readings are never early, so the line was too high
            self._height += self.lateness_s
        if x - self._bin_start >= BIN_S:
            self._bins.append(self._best)
            self._fit()
            self._bin_start = x
            self._best = (x, y)
        elif y - self.drift * x < self._best[1] - self.drift * self._best[0]:
            self._best = (x, y)
        return False

    def to_ros(self, sample_time_s: float) -> float:
        """Return the ROS time in seconds at which a sample was captured.

        Args:
            sample_time_s: the sample's sample time.

        Raises:
            RuntimeError: there has been no reading yet, see `ready`.
        """
        return self.line().to_ros(sample_time_s)

    def line(self) -> ClockLine:
        """Return the current mapping.

        Raises:
            RuntimeError: there has been no reading yet, see `ready`.
        """
        if self._origin is None:
            raise RuntimeError('SampleClock.line before the first update')
        return ClockLine(self._origin, self._height, self.drift)

    def _begin(self, sample_time_s: float, ros_time_s: float) -> None:
        self._origin = (sample_time_s, ros_time_s)
        self.drift = self.lateness_s = 0.0
        self._height = 0.0  # of the line at x = 0
        self._bins: deque[tuple[float, float]] = deque(maxlen=MEMORY_BINS)
        self._bin_start = 0.0
        self._best = (0.0, 0.0)
        self._early = 0
        self._late_since: float | None = None

    def _line_at(self, x: float) -> float:
        return self._height + self.drift * x

    def _stepped(self, x: float) -> bool:
        """Return whether the readings have left the line permanently."""
        if abs(self.lateness_s) > JUMP_S or x < 0:
            return True
        self._early = self._early + 1 if self.lateness_s < -STEP_S else 0
        if self.lateness_s <= STEP_S:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = x
        late_s = 0.0 if self._late_since is None else x - self._late_since
        return self._early >= _STEP_EARLY_READINGS or late_s > _STEP_LATE_S

    def _fit(self) -> None:
        points = np.array(self._bins)
        if len(points) < _FIRST_SLOPE_BINS:
            drift = 0.0
        else:
            drift = _slope_below(points)
        self.drift = float(np.clip(drift, -LARGEST_DRIFT, LARGEST_DRIFT))
        self._height = float((points[:, 1] - self.drift * points[:, 0]).min())


def _slope_below(points: np.ndarray) -> float:
    """Return the slope of the line below (n, 2) points, sorted by x, nearest to their mean."""
    hull: list[np.ndarray] = []
    for point in points:
        while len(hull) >= 2 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    mean = points[:, 0].mean()
    right = next((i for i, (x, _) in enumerate(hull) if x >= mean and i), len(hull) - 1)
    (x0, y0), (x1, y1) = hull[right - 1], hull[right]
    return (y1 - y0) / (x1 - x0)


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """Return a positive number if the path a, b, c turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
