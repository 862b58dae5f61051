"""Vehicles that are heard and not seen: which, whether they come nearer, when they are in sight.

What the camera cannot see is told by three things: the edges of its image, other tracks in
front, and, where there is one, a map of cells. Each track is a cloud of places by its covariance;
the share of the cloud out of sight is the probability that the vehicle is hidden. The same cloud
is carried on with its velocities to see when it comes into sight.

Sound comes around a corner from the corner, and over facades from where they mirror it. Such a
track's side is right, its place is not: it lies beyond the corner or behind the facade, which is
hidden as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
from scipy.special import ndtr

from avdet_ros.rig import Camera
from avdet_ros.tracking.cells import Cells
from avdet_ros.tracking.ego_motion import PlanarPose
from avdet_ros.tracking.ground_track import GroundTrack

LONGEST_S = 6.0
"""Later times in sight are not told."""

LEAST_HIDDEN = 0.5
"""A track that is more likely hidden than this is reported."""

FREE_M, SHORT_M = 1.5, 3.0
"""Cells so near to the camera are the ego vehicle, those so near to a track the vehicle itself."""

IMAGE, CELLS, VEHICLE = 'image', 'cells', 'vehicle'
"""What hides a vehicle: it is out of the image, behind cells, or behind another track."""

_STEP_S = 0.3
_LEAST_TOLD = 0.6
_IN_FRONT_SHARE = 0.7
_MIDDLE_HEIGHT_M = 0.8
_ORIGIN = PlanarPose(0.0, 0.0, 0.0)
_SPREAD = math.sqrt(4.5)


@dataclass(frozen=True)
class Sight:
    """What the camera has to do with one track.

    Attributes:
        track: the vehicle.
        hidden: probability that the camera does not see it.
        by: the likeliest reason, of `IMAGE`, `CELLS` and `VEHICLE`; '' if it is in sight.
        bearing_rate_rad_s: how fast its bearing from base_link changes, as both move; turns of
            the ego vehicle are left out.
        range_rate_mps: of the distance from base_link; negative: it comes nearer.
        range_rate_std_mps: standard deviation of that.
        sight_s: until the camera sees it; -1 where that cannot be told.
        sight_std_s: standard deviation of that; -1 likewise.
    """

    track: GroundTrack
    hidden: float
    by: str
    bearing_rate_rad_s: float
    range_rate_mps: float
    range_rate_std_mps: float
    sight_s: float = -1.0
    sight_std_s: float = -1.0

    @property
    def approaching(self) -> float:
        """Probability that it comes nearer."""
        return float(ndtr(-self.range_rate_mps / self.range_rate_std_mps))


def look(
    tracks: Sequence[GroundTrack],
    camera: Camera,
    cells: Cells | None = None,
    ego: PlanarPose = _ORIGIN,
) -> list[Sight]:
    """What the camera has to do with each track.

    Args:
        tracks: of one instant, in base_link.
        camera: in base_link.
        cells: what stands around; None without a map.
        ego: pose of base_link in the frame of the cells.
    """
    return [_look_at(track, tracks, camera, cells, ego) for track in tracks]


def hidden_ones(sights: Sequence[Sight]) -> list[Sight]:
    """Those that the camera does not see, the likeliest to come nearer first."""
    found = [sight for sight in sights if sight.hidden > LEAST_HIDDEN]
    return sorted(found, key=lambda sight: -sight.approaching * sight.track.score)


def _look_at(
    track: GroundTrack,
    tracks: Sequence[GroundTrack],
    camera: Camera,
    cells: Cells | None,
    ego: PlanarPose,
) -> Sight:
    places, speeds = cloud(track)
    outside = ~in_image(places, camera)
    behind = np.zeros(len(places), bool)
    if cells is not None:
        behind = blocked(places, camera, cells, ego)
    covered = _covered(places, track, tracks, camera)
    shares = {
        IMAGE: float(outside.mean()),
        CELLS: float((behind & ~outside).mean()),
        VEHICLE: float((covered & ~behind & ~outside).mean()),
    }
    hidden = min(sum(shares.values()), 1.0)
    by = max(shares, key=lambda name: shares[name]) if hidden > LEAST_HIDDEN else ''
    rate, std = range_rate(track)
    relative = track.velocity_mps - track.ego_mps
    place = track.position_m
    sight_s = sight_std_s = -1.0
    if by:
        sight_s, sight_std_s = _time_to_sight(places, speeds, track, camera, cells, ego)
    return Sight(
        track,
        hidden,
        by,
        float(place[0] * relative[1] - place[1] * relative[0]) / max(float(place @ place), 1.0),
        rate,
        std,
        sight_s,
        sight_std_s,
    )


def cloud(track: GroundTrack) -> tuple[np.ndarray, np.ndarray]:
    """Places and velocities that stand for a track's distribution.

    The points of an unscented transform with equal weights (Julier and Uhlmann 2004, "Unscented
    filtering and nonlinear estimation"): the middle, and 2.1 standard deviations along each axis.

    Returns:
        (9, 2) places in base_link, (9, 2) velocities relative to base_link.
    """
    values, vectors = np.linalg.eigh(track.covariance)
    axes = vectors * np.sqrt(np.maximum(values, 0.0)) * _SPREAD
    middle = np.concatenate([track.position_m, track.velocity_mps - track.ego_mps])
    points = middle + np.concatenate([np.zeros((1, 4)), axes.T, -axes.T])
    return points[:, :2], points[:, 2:]


def in_image(places_m: np.ndarray, camera: Camera) -> np.ndarray:
    """(...) bool, which places of base_link lie between the left and right edge of the image."""
    places = np.asarray(places_m, np.float64)
    heights = np.full((*places.shape[:-1], 1), _MIDDLE_HEIGHT_M)
    pixels, depth_m = camera.project(np.concatenate([places, heights], axis=-1))
    return (depth_m > 0) & (pixels[..., 0] >= 0) & (pixels[..., 0] <= camera.width_px)


def blocked(places_m: np.ndarray, camera: Camera, cells: Cells, ego: PlanarPose) -> np.ndarray:
    """(N,) bool, which places of base_link are behind cells.

    Args:
        places_m: (N, 2).
        camera: in base_link.
        cells: what stands around.
        ego: pose of base_link in their frame.
    """
    eye = ego.place(camera.position_m)
    return cells.blocked(eye, _in_frame(places_m, ego), FREE_M, SHORT_M)


def range_rate(track: GroundTrack) -> tuple[float, float]:
    """How fast a track's distance from base_link grows, m/s, and the standard deviation."""
    relative = track.velocity_mps - track.ego_mps
    range_m = max(track.range_m, 1.0)
    away = track.position_m / range_m
    rate = float(away @ relative)
    slope = np.concatenate([(relative - rate * away) / range_m, away])
    return rate, math.sqrt(max(float(slope @ track.covariance @ slope), 1e-6))


def _covered(
    places: np.ndarray, track: GroundTrack, tracks: Sequence[GroundTrack], camera: Camera
) -> np.ndarray:
    """(N,) bool, which places another track that is heard stands in front of."""
    apart = places - camera.position_m[:2]
    bearing, range_m = np.arctan2(apart[:, 1], apart[:, 0]), np.hypot(*apart.T)
    covered = np.zeros(len(places), bool)
    for other in tracks:
        if other.track_id == track.track_id or other.unseen_s > 0.5:
            continue
        there = other.position_m - camera.position_m[:2]
        its_m = max(float(np.hypot(*there)), 1.0)
        # Half a width hides a middle; what is about as far away hides nothing.
        half = math.atan2(float(other.size_m[0]) / 2, its_m)
        turn = (bearing - math.atan2(there[1], there[0]) + np.pi) % (2 * np.pi) - np.pi
        covered |= (np.abs(turn) < half) & (its_m < _IN_FRONT_SHARE * range_m)
    return covered


def _time_to_sight(
    places: np.ndarray,
    speeds: np.ndarray,
    track: GroundTrack,
    camera: Camera,
    cells: Cells | None,
    ego: PlanarPose,
) -> tuple[float, float]:
    """When a cloud comes into sight, and the standard deviation; -1, -1 where it is not told."""
    times = np.arange(_STEP_S, LONGEST_S + 1e-6, _STEP_S)
    later = places[:, None] + times[:, None] * speeds[:, None]  # (9, T, 2) in base_link then
    seen = in_image(later, camera)
    if cells is not None:
        cos, sin = math.cos(ego.yaw_rad), math.sin(ego.yaw_rad)
        over_ground = np.array([[cos, -sin], [sin, cos]]) @ track.ego_mps
        way = times[:, None] * over_ground
        eyes = ego.place(camera.position_m) + way
        there = _in_frame(later.reshape(-1, 2), ego).reshape(later.shape) + way
        eyes = np.broadcast_to(eyes, there.shape)
        seen[seen] = ~cells.blocked(eyes[seen], there[seen], FREE_M, SHORT_M)
    first = np.where(seen.any(axis=1), times[np.argmax(seen, axis=1)], np.nan)
    known = np.isfinite(first)
    if not known[0] or known.mean() < _LEAST_TOLD:
        return -1.0, -1.0
    spread = math.sqrt(float(first[known].var()) + _STEP_S**2 / 12)
    return float(first[known].mean()), spread


def _in_frame(places_m: np.ndarray, ego: PlanarPose) -> np.ndarray:
    """(N, 2) places of base_link in the frame of a pose."""
    cos, sin = math.cos(ego.yaw_rad), math.sin(ego.yaw_rad)
    return places_m @ np.array([[cos, sin], [-sin, cos]]) + [ego.x_m, ego.y_m]
