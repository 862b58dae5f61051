"""Hidden vehicles: which tracks the camera cannot see, and when they will come into sight.

Three things limit the camera's view: the edges of its image, other tracks in front, and a map of
occupied cells, if there is one. Each track is represented by a cloud of positions drawn from its
covariance; the share of the cloud out of sight is the probability that the vehicle is hidden. The
cloud is extrapolated with its velocities to predict when it comes into sight.

Sound that comes around a corner arrives from the corner, and sound reflected by a facade arrives
from the point of reflection. The side of such a track is right, but its position is wrong: it lies
beyond the corner or behind the facade, and so it is hidden as well.
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
"""Longest predicted time until a vehicle comes into sight."""

LEAST_HIDDEN = 0.5
"""Probability of being hidden above which a track is reported."""

FREE_M, SHORT_M = 1.5, 3.0
"""Ignored cells: within the first distance of the camera they are the ego vehicle, within the
second distance of a track the tracked vehicle itself."""

IMAGE, CELLS, VEHICLE = 'image', 'cells', 'vehicle'
"""Reasons why a vehicle is hidden: outside the image, behind cells, or behind another track."""

_STEP_S = 0.3
_LEAST_VISIBLE_SHARE = 0.6
_IN_FRONT_SHARE = 0.7
_MIDDLE_HEIGHT_M = 0.8
_ORIGIN = PlanarPose(0.0, 0.0, 0.0)
_SPREAD = math.sqrt(4.5)


@dataclass(frozen=True)
class Sight:
    """Visibility of one track for the camera.

    Attributes:
        track: the vehicle.
        hidden: probability that the camera does not see it.
        by: the likeliest reason, of `IMAGE`, `CELLS` and `VEHICLE`; '' if it is in sight.
        bearing_rate_rad_s: rate of change of its bearing from base_link, as both move, without
            turns of the ego vehicle.
        range_rate_mps: rate of change of its distance from base_link, negative if it approaches.
        range_rate_std_mps: standard deviation of the range rate.
        sight_s: time until the camera sees it; -1 if unknown.
        sight_std_s: standard deviation of that time; -1 if unknown.
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
        """Probability that the vehicle comes nearer."""
        return float(ndtr(-self.range_rate_mps / self.range_rate_std_mps))


def look(
    tracks: Sequence[GroundTrack],
    camera: Camera,
    cells: Cells | None = None,
    ego: PlanarPose = _ORIGIN,
) -> list[Sight]:
    """Compute the visibility of each track for the camera.

    Args:
        tracks: tracks at one instant, in base_link.
        camera: the camera, in base_link.
        cells: occupied cells around the vehicle; None without a map.
        ego: pose of base_link in the frame of the cells.
    """
    return [_look_at(track, tracks, camera, cells, ego) for track in tracks]


def hidden_sights(sights: Sequence[Sight]) -> list[Sight]:
    """Return the hidden vehicles, those that most likely come nearer first."""
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
    """Return positions and velocities that represent a track's distribution.

    They are the points of an unscented transform with equal weights (Julier and Uhlmann 2004,
    "Unscented filtering and nonlinear estimation"): the mean, and 2.1 standard deviations along
    each axis.

    Returns:
        (9, 2) positions in base_link, (9, 2) velocities relative to base_link.
    """
    values, vectors = np.linalg.eigh(track.covariance)
    axes = vectors * np.sqrt(np.maximum(values, 0.0)) * _SPREAD
    middle = np.concatenate([track.position_m, track.velocity_mps - track.ego_mps])
    points = middle + np.concatenate([np.zeros((1, 4)), axes.T, -axes.T])
    return points[:, :2], points[:, 2:]


def in_image(places_m: np.ndarray, camera: Camera) -> np.ndarray:
    """(...) bool: whether positions in base_link lie between the image's left and right edges."""
    places = np.asarray(places_m, np.float64)
    heights = np.full((*places.shape[:-1], 1), _MIDDLE_HEIGHT_M)
    pixels, depth_m = camera.project(np.concatenate([places, heights], axis=-1))
    return (depth_m > 0) & (pixels[..., 0] >= 0) & (pixels[..., 0] <= camera.width_px)


def blocked(places_m: np.ndarray, camera: Camera, cells: Cells, ego: PlanarPose) -> np.ndarray:
    """(N,) bool: whether positions in base_link are hidden behind cells.

    Args:
        places_m: (N, 2) positions.
        camera: the camera, in base_link.
        cells: occupied cells around the vehicle.
        ego: pose of base_link in the frame of the cells.
    """
    eye = ego.place(camera.position_m)
    return cells.blocked(eye, _in_frame(places_m, ego), FREE_M, SHORT_M)


def range_rate(track: GroundTrack) -> tuple[float, float]:
    """Return the rate of a track's distance from base_link, m/s, and its standard deviation."""
    relative = track.velocity_mps - track.ego_mps
    range_m = max(track.range_m, 1.0)
    away = track.position_m / range_m
    rate = float(away @ relative)
    slope = np.concatenate([(relative - rate * away) / range_m, away])
    return rate, math.sqrt(max(float(slope @ track.covariance @ slope), 1e-6))


def _covered(
    places: np.ndarray, track: GroundTrack, tracks: Sequence[GroundTrack], camera: Camera
) -> np.ndarray:
    """(N,) bool: whether positions are behind another track that is currently detected."""
    offsets = places - camera.position_m[:2]
    bearing, range_m = np.arctan2(offsets[:, 1], offsets[:, 0]), np.hypot(*offsets.T)
    covered = np.zeros(len(places), bool)
    for other in tracks:
        if other.track_id == track.track_id or other.unseen_s > 0.5:
            continue
        offset = other.position_m - camera.position_m[:2]
        other_m = max(float(np.hypot(*offset)), 1.0)
        # A vehicle hides what is behind its width, but nothing at about its own distance.
        half = math.atan2(float(other.size_m[0]) / 2, other_m)
        turn = (bearing - math.atan2(offset[1], offset[0]) + np.pi) % (2 * np.pi) - np.pi
        covered |= (np.abs(turn) < half) & (other_m < _IN_FRONT_SHARE * range_m)
    return covered


def _time_to_sight(
    places: np.ndarray,
    speeds: np.ndarray,
    track: GroundTrack,
    camera: Camera,
    cells: Cells | None,
    ego: PlanarPose,
) -> tuple[float, float]:
    """Time until a cloud comes into sight, and its standard deviation; -1, -1 if unknown."""
    times = np.arange(_STEP_S, LONGEST_S + 1e-6, _STEP_S)
    later = places[:, None] + times[:, None] * speeds[:, None]  # (9, T, 2) in base_link then
    seen = in_image(later, camera)
    if cells is not None:
        cos, sin = math.cos(ego.yaw_rad), math.sin(ego.yaw_rad)
        over_ground = np.array([[cos, -sin], [sin, cos]]) @ track.ego_mps
        ego_path = times[:, None] * over_ground
        eyes = ego.place(camera.position_m) + ego_path
        places_then = _in_frame(later.reshape(-1, 2), ego).reshape(later.shape) + ego_path
        eyes = np.broadcast_to(eyes, places_then.shape)
        seen[seen] = ~cells.blocked(eyes[seen], places_then[seen], FREE_M, SHORT_M)
    first = np.where(seen.any(axis=1), times[np.argmax(seen, axis=1)], np.nan)
    visible = np.isfinite(first)
    if not visible[0] or visible.mean() < _LEAST_VISIBLE_SHARE:
        return -1.0, -1.0
    spread = math.sqrt(float(first[visible].var()) + _STEP_S**2 / 12)
    return float(first[visible].mean()), spread


def _in_frame(places_m: np.ndarray, ego: PlanarPose) -> np.ndarray:
    """(N, 2) positions in base_link, in the frame of a pose."""
    cos, sin = math.cos(ego.yaw_rad), math.sin(ego.yaw_rad)
    return places_m @ np.array([[cos, sin], [-sin, cos]]) + [ego.x_m, ego.y_m]
