"""Motion of a vehicle along its road: speed, lane, lane changes and slowing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class LaneChange:
    """A lane change, without lateral speed or acceleration at its beginning and end.

    Attributes:
        lanes: number of lane widths, positive to the left of the road's direction.
        middle_s: time at which it is half complete.
        length_s: duration.
    """

    lanes: float
    middle_s: float
    length_s: float

    def part(self, t_s: ArrayLike) -> np.ndarray:
        """Return the (...) completed fraction, 0 to 1."""
        x = np.clip((np.asarray(t_s, np.float64) - self.middle_s) / self.length_s + 0.5, 0, 1)
        return x - np.sin(2 * np.pi * x) / (2 * np.pi)

    def part_per_s(self, t_s: ArrayLike) -> np.ndarray:
        """Return the (...) derivative of `part`."""
        x = np.clip((np.asarray(t_s, np.float64) - self.middle_s) / self.length_s + 0.5, 0, 1)
        return (1 - np.cos(2 * np.pi * x)) / self.length_s


@dataclass(frozen=True)
class Slowing:
    """A vehicle slows down and speeds up again: v(t) = v - by / cosh^2((t - middle) / width).

    Attributes:
        by_mps: largest loss of speed, with the sign of the vehicle's speed.
        middle_s: time of the lowest speed.
        width_s: time constant; the whole manoeuvre takes about three times as long.
    """

    by_mps: float
    middle_s: float
    width_s: float

    def way_m(self, t_s: ArrayLike) -> np.ndarray:
        """Return the (...) distance lost, counted from `middle_s`."""
        x = (np.asarray(t_s, np.float64) - self.middle_s) / self.width_s
        return self.by_mps * self.width_s * np.tanh(x)

    def mps(self, t_s: ArrayLike) -> np.ndarray:
        """Return the (...) speed lost."""
        x = np.clip((np.asarray(t_s, np.float64) - self.middle_s) / self.width_s, -300, 300)
        return self.by_mps / np.cosh(x) ** 2


@dataclass(frozen=True)
class Motion:
    """Position of a vehicle on its road at any time.

    Distance along: s(t) = start + speed t + sway sin(rate t + phase) - distance lost by slowing,
    so that distance, and with it the engine's phase, is known at any time without integrating.

    Attributes:
        start_m: distance along the road at t = 0 without the sway.
        speed_mps: mean speed, negative against the road's direction.
        sway_m: amplitude of the sway, a periodic speeding up and slowing down.
        sway_rate_rad_s: angular rate of the sway.
        sway_phase_rad: phase of the sway.
        lane: lane's centre in lane widths left of the centre line.
        aside_m: constant offset from the lane's centre, left positive.
        wander_m: amplitude of the wandering in the lane.
        wander_rate_rad_s: angular rate of the wandering.
        changes: lane changes.
        slowings: manoeuvres in which it slows down and speeds up again.
    """

    start_m: float
    speed_mps: float
    sway_m: float = 0.0
    sway_rate_rad_s: float = 0.5
    sway_phase_rad: float = 0.0
    lane: float = 0.0
    aside_m: float = 0.0
    wander_m: float = 0.0
    wander_rate_rad_s: float = 0.4
    changes: tuple[LaneChange, ...] = ()
    slowings: tuple[Slowing, ...] = ()

    def along_m(self, t_s: ArrayLike) -> np.ndarray:
        """Return the distance along the road, (...) float64."""
        t = np.asarray(t_s, np.float64)
        angle = self.sway_rate_rad_s * t + self.sway_phase_rad
        along = self.start_m + self.speed_mps * t + self.sway_m * np.sin(angle)
        for slowing in self.slowings:
            along = along - slowing.way_m(t)
        return along

    def along_mps(self, t_s: ArrayLike) -> np.ndarray:
        """Return the signed speed along the road, (...) float64."""
        angle = self.sway_rate_rad_s * np.asarray(t_s, np.float64) + self.sway_phase_rad
        speed = self.speed_mps + self.sway_m * self.sway_rate_rad_s * np.cos(angle)
        for slowing in self.slowings:
            speed = speed - slowing.mps(t_s)
        return speed

    def lane_at(self, t_s: ArrayLike) -> np.ndarray | float:
        """Return the lane's centre in lane widths left of the centre line, including changes."""
        return self.lane + sum(change.lanes * change.part(t_s) for change in self.changes)

    def lanes_per_s(self, t_s: ArrayLike) -> np.ndarray | float:
        """Return the derivative of `lane_at`; 0 for a vehicle that keeps its lane."""
        return sum(change.lanes * change.part_per_s(t_s) for change in self.changes)
