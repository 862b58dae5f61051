"""Buildings at junctions: they hide vehicles, screen their sound, and reflect it.

Everything is computed in plan view: buildings are much higher than vehicles and microphones. Sound
that a building blocks comes around its corner: from the direction of the corner, over the longer
path, attenuated as by a thin screen (Kurze and Anderson 1971), at most by 20 dB (ISO 9613-2).
Facades reflect sound, as image sources, where the reflected path is free.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from numba import njit
import numpy as np

from avdet_ros.simulation.road import Road

GREATEST_LOSS_DB = 20.0
EDGE_M = 2.0
"""Length at each end of a facade over which a reflection fades in and out."""

_TOUCH_M = 1e-3


@dataclass(frozen=True, eq=False)
class Building:
    """A row of houses beside a road, a rectangle seen from above.

    Attributes:
        road: the road beside which it stands.
        along_m: distance along the road of its middle, where it is parallel to the road.
        front_m: length along the road.
        aside_m: distance of its front from the centre line, left positive.
        deep_m: depth from front to back.
        reflection: fraction of the sound pressure that its facades reflect.
        corners_m: (4, 2) float64 corners in the world frame, counter-clockwise.
    """

    road: Road
    along_m: float
    front_m: float
    aside_m: float
    deep_m: float
    reflection: float = 0.7
    corners_m: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Place the corners."""
        position, forward, left, _ = self.road.frame(self.along_m)
        flat = forward[:2] / np.linalg.norm(forward[:2])
        x, side = self.front_m / 2, np.sign(self.aside_m)
        low, high = sorted((self.aside_m, self.aside_m + side * self.deep_m))
        square = np.array([[-x, low], [x, low], [x, high], [-x, high]])
        corners = position[:2] + square[:, :1] * flat + square[:, 1:] * left[:2]
        object.__setattr__(self, 'corners_m', corners)

    @property
    def side(self) -> int:
        """1 if the building stands left of the road, -1 if it stands right of it."""
        return 1 if self.aside_m > 0 else -1


def stacked(buildings: tuple[Building, ...]) -> np.ndarray:
    """Stack the corners of all buildings into (B, 4, 2) float64."""
    return np.array([building.corners_m for building in buildings]).reshape(-1, 4, 2)


@njit(cache=True, nogil=True)
def _crosses(corners: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> bool:
    """Return whether a segment crosses the interior of a convex polygon."""
    enter, leave = 0.0, 1.0
    for a in range(len(corners)):
        b = (a + 1) % len(corners)
        ex, ey = corners[b, 0] - corners[a, 0], corners[b, 1] - corners[a, 1]
        length = np.sqrt(ex * ex + ey * ey)
        nx, ny = ey / length, -ex / length
        from_edge = (x0 - corners[a, 0]) * nx + (y0 - corners[a, 1]) * ny + _TOUCH_M
        step = (x1 - x0) * nx + (y1 - y0) * ny
        if abs(step) < 1e-12:
            if from_edge >= 0:
                return False
            continue
        at = -from_edge / step
        if step < 0:
            enter = max(enter, at)
        else:
            leave = min(leave, at)
    return leave - enter > 1e-9


@njit(cache=True, nogil=True)
def _any_crosses(every: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> bool:
    found = False
    for b in range(len(every)):
        found = found or _crosses(every[b], x0, y0, x1, y1)
    return found


@njit(cache=True, nogil=True)
def _length(x0: float, y0: float, x1: float, y1: float) -> float:
    return np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)


@njit(cache=True, nogil=True)
def _around(
    corners: np.ndarray, sx: float, sy: float, ex: float, ey: float
) -> tuple[float, int, int]:
    """Find the shortest path around a polygon: length, corners at the array's and source's end."""
    best, last, first = np.inf, -1, -1
    for v in range(4):
        vx, vy = corners[v, 0], corners[v, 1]
        if _crosses(corners, vx, vy, ex, ey):
            continue
        home = _length(vx, vy, ex, ey)
        for step in (0, 1, 3):
            w = (v + step) % 4
            wx, wy = corners[w, 0], corners[w, 1]
            if not _crosses(corners, sx, sy, wx, wy):
                way = _length(sx, sy, wx, wy) + _length(wx, wy, vx, vy) + home
                if way < best:
                    best, last, first = way, v, w
    return best, last, first


@njit(cache=True, nogil=True)
def _screen(
    every: np.ndarray, source: np.ndarray, array: np.ndarray, extra: np.ndarray, name: np.ndarray
) -> None:
    """Compute, for each instant, the longest detour around a building, and the number of its path.

    A path number is 16 times the building's index, plus 4 times the corner at the array's end,
    plus the corner at the source's end; -1 where no building is in between.
    """
    for g in range(len(source)):
        sx, sy, ex, ey = source[g, 0], source[g, 1], array[g, 0], array[g, 1]
        straight = _length(sx, sy, ex, ey)
        extra[g], name[g] = -np.inf, -1
        for b in range(len(every)):
            number, detour = -1, -np.inf
            if _crosses(every[b], sx, sy, ex, ey):
                way, last, first = _around(every[b], sx, sy, ex, ey)
                if last < 0:  # source or array is inside the building
                    continue
                detour, number = way - straight, 16 * b + 4 * last + first
            else:
                for k in range(4):
                    way = _length(sx, sy, every[b, k, 0], every[b, k, 1])
                    way += _length(every[b, k, 0], every[b, k, 1], ex, ey)
                    detour = max(detour, straight - way)
            if detour > extra[g]:
                extra[g], name[g] = detour, number


def screening(
    every: np.ndarray, source: np.ndarray, array: np.ndarray
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Compute detours of sound around buildings, and where it appears to come from.

    Args:
        every: corners from `stacked`.
        source: (G, 3) positions of the source.
        array: (G, 3) positions of the array.

    Returns:
        detour_m: (G,) how much longer the path around the corner is than the direct one. Where the
            direct path is free, it is negative: minus the extra length over the nearest corner.
            -inf without buildings.
        ways: for each path that the sound takes at some instant, smooth positions (G, 3) of the
            apparent source (in the direction of the corner, at the length of the path; the source
            itself where it is in sight) and 1 (G,) while the sound takes this path, else 0.
    """
    extra, name = np.empty(len(source)), np.empty(len(source), np.int64)
    _screen(every, source, array, extra, name)
    ways = []
    for number in np.unique(name).tolist():
        taken = (name == number).astype(np.float64)
        if number < 0:
            ways.append((source, taken))
            continue
        last = every[number // 16, number // 4 % 4]
        first = every[number // 16, number % 4]
        towards = last - array[:, :2]
        home = np.maximum(np.linalg.norm(towards, axis=1), 1e-9)
        out = np.linalg.norm(source[:, :2] - first, axis=1)
        way = home + np.linalg.norm(last - first) + out
        places = source.copy()
        places[:, :2] = array[:, :2] + (way / home)[:, None] * towards
        ways.append((places, taken))
    return extra, ways


def screen_loss_db(
    detour_m: float | np.ndarray, frequency_hz: np.ndarray, c_mps: float
) -> np.ndarray:
    """Insertion loss of a screen (Kurze and Anderson 1971).

    5 + 20 lg(x / tanh x) dB with x = sqrt(2 pi N), N = 2 detour / wavelength. For a source still
    in sight the ratio is x / tan x, and the loss falls to zero.

    Args:
        detour_m: (...) detours from `screening`.
        frequency_hz: (F,) frequencies.
        c_mps: speed of sound.

    Returns:
        (..., F) dB, 0 to `GREATEST_LOSS_DB`.
    """
    fresnel = 2 * np.asarray(detour_m, float)[..., None] * np.asarray(frequency_hz, float) / c_mps
    x = np.sqrt(2 * np.pi * np.clip(np.abs(fresnel), 1e-9, 1e6))
    behind = 5 + 20 * np.log10(x / np.tanh(x))
    with np.errstate(divide='ignore', invalid='ignore'):
        before = 5 + 20 * np.log10(np.where(fresnel > -0.19, x / np.tan(x), 1e-9))
    return np.clip(np.where(fresnel >= 0, behind, before), 0, GREATEST_LOSS_DB)


@njit(cache=True, nogil=True)
def _reflect(
    every: np.ndarray,
    b: int,
    v: int,
    source: np.ndarray,
    array: np.ndarray,
    image: np.ndarray,
    gain: np.ndarray,
) -> None:
    """Compute the image of a source in one facade, and its gain."""
    ax, ay = every[b, v, 0], every[b, v, 1]
    bx, by = every[b, (v + 1) % 4, 0], every[b, (v + 1) % 4, 1]
    length = _length(ax, ay, bx, by)
    tx, ty = (bx - ax) / length, (by - ay) / length
    nx, ny = ty, -tx
    for g in range(len(source)):
        sx, sy, ex, ey = source[g, 0], source[g, 1], array[g, 0], array[g, 1]
        s_off = (sx - ax) * nx + (sy - ay) * ny
        e_off = (ex - ax) * nx + (ey - ay) * ny
        image[g, 0], image[g, 1] = sx - 2 * s_off * nx, sy - 2 * s_off * ny
        image[g, 2] = source[g, 2]
        gain[g] = 0.0
        if s_off <= 0.01 or e_off <= 0.01:
            continue
        part = e_off / (e_off + s_off)
        qx, qy = ex + part * (image[g, 0] - ex), ey + part * (image[g, 1] - ey)
        at = (qx - ax) * tx + (qy - ay) * ty
        inside = min(at, length - at) / EDGE_M
        if inside <= 0:
            continue
        if _any_crosses(every, sx, sy, qx, qy) or _any_crosses(every, qx, qy, ex, ey):
            continue
        gain[g] = min(inside, 1.0)


def reflections(
    buildings: tuple[Building, ...], every: np.ndarray, source: np.ndarray, array: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Compute first-order mirror images of a source in the facades.

    Args:
        buildings: all buildings.
        every: corners from `stacked`.
        source: (G, 3) positions of the source.
        array: (G, 3) positions of the array.

    Returns:
        positions (G, 3) and gain (G,) of each image that exists at some instant.
    """
    found = []
    for b, building in enumerate(buildings):
        for v in range(4):
            image, gain = np.empty_like(source), np.empty(len(source))
            _reflect(every, b, v, source, array, image, gain)
            if gain.any():
                found.append((image, building.reflection * gain))
    return found


def length_in_sight(
    every: np.ndarray, eye: np.ndarray, middle: np.ndarray, forward: np.ndarray, length_m: float
) -> float:
    """Return the fraction of a vehicle's length (five points of it) that no building hides.

    Args:
        every: corners from `stacked`.
        eye: (2 or 3,) viewpoint.
        middle: (3,) middle of the vehicle.
        forward: (3,) unit vector in the direction the vehicle faces.
        length_m: length of the vehicle.
    """
    spots = middle + np.linspace(-0.5, 0.5, 5)[:, None] * length_m * forward
    return float(sight(every, eye, spots[:, :2]).mean())


def sight(every: np.ndarray, eye: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return (N,) bool: which of the points (N, 2) no building hides."""
    hidden = [_any_crosses(every, eye[0], eye[1], point[0], point[1]) for point in points]
    return ~np.array(hidden, bool)
