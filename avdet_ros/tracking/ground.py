"""A tracker on the ground plane: vehicles in metres, also where the camera sees nothing.

Detections are linked by bearing. A wrong range does not break a track: ranges only decide between
vehicles at the same bearing. The ego vehicle's motion is compensated, so a vehicle that was not
detected for some seconds is expected where it should be by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math
from typing import ClassVar

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.rig import Rig, load_rig
from avdet_ros.tracking.bearing_range import measure
from avdet_ros.tracking.ego_motion import PlanarPose
from avdet_ros.tracking.ground_filter import (
    FASTEST_MPS,
    GroundFilter,
    GroundNoise,
    PlaneMeasurement,
    wrap,
)
from avdet_ros.tracking.ground_track import GroundTrack, placed
from avdet_ros.tracking.ground_vehicle import GroundVehicle
from avdet_ros.tracking.track import TRACKERS, Track, require_between, require_finite
from avdet_ros.tracking.two_stages import link_in_two_stages

_ROUNDING_S = 1e-4
_UNKNOWN_SPEED_MPS = 20.0
"""Assumed speed of the ego vehicle without odometry: it is part of all relative velocities."""

_WIDENING = 2.0
"""Factor on the acceleration density without odometry: the ego vehicle turns and brakes too."""

_SIZED_UNSEEN_S = 0.2
"""How long a vehicle without a detection is reported in metres if its range comes from the size
of its box. Such ranges are too rough to reveal a wrong velocity, which is often why a vehicle was
lost. It is still tracked for `hidden_s`, so that it keeps its identity."""

_DRIFT = 0.02
"""Error of odometry as a share of the distance."""

_SPEED_OVER_S = 0.3
"""Averaging time of the ego vehicle's speed."""

_MOST_RANGE_COST = 4.0
"""Largest contribution of a range to the cost of a link: the range may be entirely wrong."""

_ORIGIN = PlanarPose(0.0, 0.0, 0.0)


@TRACKERS.register
class GroundTracker:
    """Links detections by bearing; estimates each vehicle's position and velocity on the road."""

    name = 'ground'
    needs_rig = True
    remembers = True
    for_the_student: ClassVar[dict[str, float]] = {}

    def __init__(
        self,
        rig: Rig | None = None,
        new_track_threshold: float = 0.4,
        high_threshold: float = 0.3,
        low_threshold: float = 0.1,
        gate: float = 3.5,
        confirm_s: float = 0.1,
        coast_s: float = 0.0,
        hidden_s: float = 2.0,
        longest_gap_s: float = 1.5,
        noise: GroundNoise | None = None,
    ) -> None:
        """Set thresholds and times.

        Args:
            rig: array and camera; None for the package's own.
            new_track_threshold: an unlinked detection must exceed it to start a track.
            high_threshold: detections above it are linked first.
            low_threshold: detections above it may continue a track; the rest is ignored.
            gate: largest difference in bearing for a link, in standard deviations.
            confirm_s: a track is reported once its detections span this long; before, it ends
                at the first window without a detection.
            coast_s: how long its box is still reported in the image without a detection.
            hidden_s: how long it continues in metres without a detection, at most twice the time
                that its detections span.
            longest_gap_s: windows further apart are not consecutive, and all tracks end.
            noise: of measurements and motion; None: as measured in docs/trackers.md.
        """
        self._rig = rig or load_rig()
        self._new_track_threshold = require_between(
            'new_track_threshold', new_track_threshold, 0, 1
        )
        self._high_threshold = require_between('high_threshold', high_threshold, 0, 1)
        self._low_threshold = require_between('low_threshold', low_threshold, 0, 1)
        self._gate = require_between('gate', gate, 0.1, 100)
        self._confirm_s = require_between('confirm_s', confirm_s, 0, 60)
        self._coast_s = require_between('coast_s', coast_s, 0, 60)
        self._hidden_s = require_between('hidden_s', hidden_s, 0, 60)
        self._longest_gap_s = require_between('longest_gap_s', longest_gap_s, 0, 3600)
        self._noise = noise or GroundNoise()
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks; see `Tracker.reset`."""
        self._vehicles: list[GroundVehicle] = []
        self._next_id = first_id
        self._stamp_s = -math.inf
        self._pose: PlanarPose | None = None
        self._ego_mps = np.zeros(2)

    def update(
        self, stamp_s: float, detections: Detections, ego: PlanarPose | None = None
    ) -> list[Track]:
        """Process one window's detections; see `Tracker.update`.

        Args:
            stamp_s: the instant at which the detections are valid.
            detections: detections of the window, possibly none.
            ego: pose of base_link at that instant in a frame that does not jump; None if it is
                unknown, which widens the covariances of the vehicles.

        Returns:
            The tracks whose boxes are visible in the image; `vehicles` returns all.
        """
        require_finite(stamp_s, detections)
        if stamp_s < self._stamp_s:
            self.reset()
        elif stamp_s - self._stamp_s > self._longest_gap_s:
            self._vehicles = []
        since_s = stamp_s - self._stamp_s if math.isfinite(self._stamp_s) else 0.0
        self._stamp_s = stamp_s
        self._move(since_s, ego)

        measurements = [
            self._in_frame(measurement) for measurement in measure(detections, self._rig)
        ]
        scores = detections.scores

        def correct(vehicle: GroundVehicle, index: int) -> None:
            vehicle.filter.correct(measurements[index])
            if vehicle.filter.is_implausible(self._fastest_mps):
                vehicle.filter = self._first(measurements[index])
            vehicle.see(detections, index, stamp_s)

        taken = link_in_two_stages(
            self._vehicles,
            scores,
            self._high_threshold,
            self._low_threshold,
            lambda vehicles, indices: self._cost(
                vehicles, [measurements[index] for index in indices]
            ),
            correct,
            10 * (self._gate**2 + _MOST_RANGE_COST + 1),  # links as many as possible
        )
        self._vehicles = [vehicle for vehicle in self._vehicles if self._continues(vehicle)]
        for index in np.flatnonzero(scores > self._new_track_threshold):
            if index not in taken:
                self._start(int(index), measurements[index], detections)
        self._leave_out_doubles()
        return [
            vehicle.track(stamp_s)
            for vehicle in self._vehicles
            if self._confirmed(vehicle)
            and stamp_s - vehicle.last_seen_s <= self._coast_s + _ROUNDING_S
            and vehicle.in_image
        ]

    def vehicles(self, ahead_s: float = 0.0, ego: PlanarPose | None = None) -> list[GroundTrack]:
        """Return all vehicles in metres, detected now or not, in base_link.

        Args:
            ahead_s: time after the last update to which their motion is extrapolated.
            ego: pose of base_link at that time; None if unknown: extrapolated too.

        Returns:
            The confirmed tracks, by id. Tracks with ranges from the size of their boxes are left
            out from a fifth of a second after their last detection.
        """
        pose = self._pose or _ORIGIN
        later = self._carried_on(ahead_s) if ego is None or self._pose is None else ego
        before, after = self._array_m(pose), self._array_m(later)
        cos, sin = math.cos(later.yaw_rad), math.sin(later.yaw_rad)
        ego_mps = np.array([[cos, sin], [-sin, cos]]) @ self._ego_mps
        tracks = []
        for vehicle in self._vehicles:
            unseen_s = self._stamp_s - vehicle.last_seen_s
            sized_and_lost = vehicle.sized and unseen_s > _SIZED_UNSEEN_S + _ROUNDING_S
            if not self._confirmed(vehicle) or sized_and_lost:
                continue
            filter_ = vehicle.filter.copy()
            if ahead_s > 0:
                filter_.predict(ahead_s, before, after, self._drift(before, after), self._widening)
            plane, covariance = filter_.on_plane()
            tracks.append(
                GroundTrack(
                    vehicle.track_id,
                    *placed(plane, covariance, later.yaw_rad, self._rig.array_position_m[:2]),
                    size_m=vehicle.size_m,
                    score=vehicle.score,
                    age_s=self._stamp_s - vehicle.born_s,
                    unseen_s=unseen_s,
                    over_ground=self._pose is not None,
                    ego_mps=ego_mps if self._pose is not None else np.zeros(2),
                )
            )
        return tracks

    # Motion of the ego vehicle.

    @property
    def _widening(self) -> float:
        return 1.0 if self._pose is not None else _WIDENING

    @property
    def _fastest_mps(self) -> float:
        return FASTEST_MPS if self._pose is not None else 2 * FASTEST_MPS

    def _array_m(self, pose: PlanarPose) -> np.ndarray:
        return pose.place(self._rig.array_position_m)

    @staticmethod
    def _drift(before: np.ndarray, after: np.ndarray) -> float:
        return _DRIFT * float(np.hypot(*(after - before)))

    def _carried_on(self, seconds: float) -> PlanarPose:
        if self._pose is None:
            return _ORIGIN
        x, y = np.array([self._pose.x_m, self._pose.y_m]) + seconds * self._ego_mps
        return PlanarPose(float(x), float(y), self._pose.yaw_rad)

    def _move(self, since_s: float, ego: PlanarPose | None) -> None:
        """Predict all vehicles at the new instant, relative to the array's position then."""
        before = self._pose or _ORIGIN
        known = ego if self._pose is not None else None
        after = known or self._carried_on(since_s)
        places = self._array_m(before), self._array_m(after)
        for vehicle in self._vehicles:
            vehicle.detection = None
            vehicle.box.predict(since_s)
            vehicle.filter.predict(since_s, *places, self._drift(*places), self._widening)
        if known and since_s > 0:
            step = np.array([known.x_m - before.x_m, known.y_m - before.y_m])
            share = min(since_s / _SPEED_OVER_S, 1.0)
            self._ego_mps = self._ego_mps + share * (step / since_s - self._ego_mps)
        if (ego is None) != (self._pose is None):
            self._change_frame(after, ego)
        self._pose = ego

    def _change_frame(self, old: PlanarPose, ego: PlanarPose | None) -> None:
        """Change from base_link to the fixed frame or back, as odometry appears or disappears."""
        new = _ORIGIN if ego is None else ego
        angle = wrap(new.yaw_rad - old.yaw_rad)
        if ego is None:
            cos, sin = math.cos(angle), math.sin(angle)
            speed = -np.array([[cos, -sin], [sin, cos]]) @ self._ego_mps
            std_mps = 1.0
        else:  # relative velocities; the ego vehicle's own is not known yet
            speed, std_mps = np.zeros(2), _UNKNOWN_SPEED_MPS
        for vehicle in self._vehicles:
            vehicle.filter.turn(angle, speed, std_mps)
        self._ego_mps = np.zeros(2)

    def _in_frame(self, measurement: PlaneMeasurement) -> PlaneMeasurement:
        if self._pose is None:
            return measurement
        return replace(measurement, bearing_rad=wrap(measurement.bearing_rad + self._pose.yaw_rad))

    # Life of a track.

    def _start(self, index: int, measurement: PlaneMeasurement, detections: Detections) -> None:
        filter_ = self._first(measurement)
        self._vehicles.append(
            GroundVehicle(self._next_id, filter_, detections, index, self._stamp_s, self._rig)
        )
        self._next_id += 1

    def _first(self, measurement: PlaneMeasurement) -> GroundFilter:
        """Create the filter of a vehicle from its first measurement."""
        # Vehicles on one road drive about equally fast, in either direction. Relative velocities
        # contain the ego vehicle's speed along its heading, known or not.
        along = np.array([_UNKNOWN_SPEED_MPS, 0.0]) if self._pose is None else self._ego_mps
        return GroundFilter(measurement, self._noise, self._noise.speed_mps, along)

    def _confirmed(self, vehicle: GroundVehicle) -> bool:
        return vehicle.last_seen_s - vehicle.born_s >= self._confirm_s - _ROUNDING_S

    def _continues(self, vehicle: GroundVehicle) -> bool:
        if vehicle.detection is not None:
            return True
        span_s = vehicle.last_seen_s - vehicle.born_s
        gap_s = self._stamp_s - vehicle.last_seen_s
        longest_s = max(self._coast_s, self._hidden_s)
        return self._confirmed(vehicle) and gap_s <= min(longest_s, 2 * span_s) + _ROUNDING_S

    def _cost(
        self, vehicles: Sequence[GroundVehicle], measurements: Sequence[PlaneMeasurement]
    ) -> np.ndarray:
        """(V, D) squared distances in standard deviations, infinite beyond the gate."""
        cost = np.full((len(vehicles), len(measurements)), np.inf)
        for row, vehicle in enumerate(vehicles):
            for column, measurement in enumerate(measurements):
                innovation, spread = vehicle.filter.innovation(measurement)
                bearing = innovation[0] ** 2 / spread[0, 0]
                if bearing <= self._gate**2:
                    distance = min(innovation[1] ** 2 / spread[1, 1], _MOST_RANGE_COST)
                    cost[row, column] = bearing + distance
        return cost

    def _leave_out_doubles(self) -> None:
        """End an undetected track next to a detected one: they are the same vehicle."""
        detected = [vehicle for vehicle in self._vehicles if vehicle.detection is not None]
        self._vehicles = [
            vehicle
            for vehicle in self._vehicles
            if vehicle.detection is not None
            or not any(vehicle.matches(other) for other in detected)
        ]
