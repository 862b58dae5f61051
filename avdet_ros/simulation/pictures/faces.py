"""Flat polygons in space: built, moved and projected into the camera in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from avdet_ros.rig import Camera
from avdet_ros.simulation.pictures.materials import INDEX

NEAR_M = 0.35
"""Minimum depth: nothing nearer to the camera is drawn."""

Point = Sequence[float] | np.ndarray
"""Three coordinates in metres, or three components of a colour."""

_BIG_PX = 6000.0
_UNKNOWN = (np.nan, np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class Faces:
    """K flat polygons with M corners in total.

    Attributes:
        corners: (M, 3) float64, one polygon after the other, counter-clockwise seen from outside.
        starts: (K,) int64 index of each polygon's first corner.
        normals: (K, 3) float64 outward unit vectors, for lighting and culling.
        material: (K,) int64 index into materials.MATERIALS.
        colour: (K, 3) float64 red, green, blue, 0 to 1, under full white light.
        layer: (K,) int64; within one body, higher ones are painted over lower ones.
        both_sides: (K,) bool, whether also drawn when seen from behind.
        section: (K,) int64; the stretch of road, for ground only.
    """

    corners: np.ndarray
    starts: np.ndarray
    normals: np.ndarray
    material: np.ndarray
    colour: np.ndarray
    layer: np.ndarray
    both_sides: np.ndarray
    section: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def counts(self) -> np.ndarray:
        """(K,) number of corners of each polygon."""
        return np.diff(np.append(self.starts, len(self.corners)))

    def moved(self, position: np.ndarray, rotation: np.ndarray) -> Faces:
        """Return the polygons in another frame: p -> position + rotation p."""
        return replace(
            self,
            corners=position + self.corners @ rotation.T,
            normals=self.normals @ rotation.T,
        )


class FaceList:
    """Collects polygons one by one."""

    def __init__(self) -> None:
        self._corners: list[np.ndarray] = []
        self._rows: list[tuple[Point, int, tuple[float, ...], int, bool, int]] = []

    def add(
        self,
        corners: Sequence[Point] | np.ndarray,
        material: str,
        colour: Point,
        layer: int = 0,
        both_sides: bool = False,
        normal: Point | None = None,
        section: int = 0,
    ) -> None:
        """Add one polygon; its normal is computed unless given. See `Faces`."""
        self._corners.append(np.asarray(corners, np.float64))
        normal_row = _UNKNOWN if normal is None else normal
        self._rows.append((normal_row, INDEX[material], tuple(colour), layer, both_sides, section))

    def box(
        self,
        low: Point,
        high: Point,
        material: str,
        colour: Point,
        layer: int = 0,
        taper: float = 1.0,
    ) -> None:
        """Add a box without its bottom; the top is `taper` times as large as the foot."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        xm, ym = (x0 + x1) / 2, (y0 + y1) / 2
        foot = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        top = [(xm + (x - xm) * taper, ym + (y - ym) * taper, z1) for x, y in foot]
        foot3 = [(x, y, z0) for x, y in foot]
        for i in range(4):
            j = (i + 1) % 4
            self.add([foot3[i], foot3[j], top[j], top[i]], material, colour, layer)
        self.add(top, material, colour, layer)

    def build(self) -> Faces:
        """Return all polygons added so far."""
        if not self._rows:
            return empty()
        normal, material, colour, layer, both, section = zip(*self._rows, strict=True)
        ends = np.cumsum([len(points) for points in self._corners])
        corners = np.concatenate(self._corners)
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        normals = np.array(normal, np.float64)
        # Newell's method also works for slightly bent polygons; relative to the first corners, so
        # that positions far from the origin lose no digits
        after = np.arange(len(corners)) + 1
        after[ends - 1] = starts
        local = corners - np.repeat(corners[starts], ends - starts, axis=0)
        across = np.add.reduceat(np.cross(local, local[after]), starts)
        across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
        unknown = np.isnan(normals[:, 0])
        normals[unknown] = across[unknown]
        return Faces(
            corners,
            starts,
            normals,
            np.array(material, np.int64),
            np.array(colour, np.float64),
            np.array(layer, np.int64),
            np.array(both, bool),
            np.array(section, np.int64),
        )


def empty() -> Faces:
    """Return an empty collection."""
    whole = np.zeros(0, np.int64)
    three = np.zeros((0, 3))
    return Faces(three, whole, three, whole, three, whole, np.zeros(0, bool), whole)


def joined(parts: Sequence[Faces]) -> Faces:
    """Join the polygons of several collections, in order."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return empty()
    offsets = np.cumsum([0] + [len(part.corners) for part in parts[:-1]])
    names = ('normals', 'material', 'colour', 'layer', 'both_sides', 'section')
    return Faces(
        np.concatenate([part.corners for part in parts]),
        np.concatenate([part.starts + at for part, at in zip(parts, offsets, strict=True)]),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names),
    )


@dataclass(frozen=True, eq=False)
class View:
    """The camera in the world at one instant.

    Attributes:
        camera: its projection.
        eye: (3,) optical centre, world.
        axes: (3, 3) maps world directions to the optical frame.
    """

    camera: Camera
    eye: np.ndarray
    axes: np.ndarray

    def optical(self, points: np.ndarray) -> np.ndarray:
        """Transform world points (..., 3) to the optical frame: x right, y down, z forward."""
        return (points - self.eye) @ self.axes.T

    def pixels(self, optical: np.ndarray) -> np.ndarray:
        """Project points in front of the camera to pixels, (..., 2)."""
        camera = self.camera
        scale = np.array([camera.fx, camera.fy]) / optical[..., 2:3]
        return optical[..., :2] * scale + [camera.cx, camera.cy]


def view_of(camera: Camera, position: np.ndarray, rotation: np.ndarray) -> View:
    """Return the camera's view from a vehicle at a pose."""
    return View(camera, position + rotation @ camera.position_m, camera.rotation @ rotation.T)


@dataclass(frozen=True, eq=False)
class Seen:
    """The polygons that face the camera and reach into the image.

    Attributes:
        index: (S,) index of the polygon in the `Faces`.
        polygons: S arrays (P, 2) float64 pixels.
        nearest_m: (S,) smallest depth of a corner.
        furthest_m: (S,) largest depth of a corner.
        box: (S, 4) bounding boxes, pixels, not clipped.
        plane: (S, 3) a, b, c with 1 / depth = a x + b y + c at pixel (x, y).
    """

    index: np.ndarray
    polygons: list[np.ndarray]
    nearest_m: np.ndarray
    furthest_m: np.ndarray
    box: np.ndarray
    plane: np.ndarray


def look(faces: Faces, view: View, smallest_px: float = 0.6) -> Seen:
    """Cull, clip and project polygons.

    Args:
        faces: in the world frame.
        view: the camera.
        smallest_px: polygons smaller than this in both directions are left out.
    """
    none = np.zeros(0)
    if not len(faces):
        return Seen(none.astype(int), [], none, none, np.zeros((0, 4)), np.zeros((0, 3)))
    optical = view.optical(faces.corners)
    normals = faces.normals @ view.axes.T
    first = optical[faces.starts]
    towards = -np.einsum('kj,kj->k', normals, first)
    depth = optical[:, 2]
    nearest = np.minimum.reduceat(depth, faces.starts)
    furthest = np.maximum.reduceat(depth, faces.starts)
    keep = (furthest > NEAR_M) & (faces.both_sides | (towards > 0))
    safe = optical.copy()
    safe[:, 2] = np.maximum(depth, NEAR_M)
    pixels = view.pixels(safe)
    low = np.minimum.reduceat(pixels, faces.starts)
    high = np.maximum.reduceat(pixels, faces.starts)
    camera = view.camera
    whole = nearest > NEAR_M
    inside = (
        (high[:, 0] > -1)
        & (low[:, 0] < camera.width_px + 1)
        & (high[:, 1] > -1)
        & (low[:, 1] < camera.height_px + 1)
        & ((high - low).max(axis=1) > smallest_px)
    )
    index = np.flatnonzero(keep & (inside | ~whole))
    ends = faces.starts + faces.counts()
    unclipped = whole & (np.abs(low).max(axis=1) < _BIG_PX) & (np.abs(high).max(axis=1) < _BIG_PX)
    polygons, numbers = [], []
    for face in index:
        span = slice(faces.starts[face], ends[face])
        if unclipped[face]:
            polygons.append(pixels[span])
        else:
            cut = _clip(optical[span], camera)
            if len(cut) < 3:
                continue
            polygons.append(view.pixels(cut))
        numbers.append(face)
    kept = np.array(numbers, np.int64)
    box = np.concatenate([low[kept], high[kept]], axis=1)
    for row in np.flatnonzero(~unclipped[kept]):
        points = polygons[row]
        box[row] = (*points.min(axis=0), *points.max(axis=0))
    # n . p = -d on the plane; with p = depth * (x', y', 1): 1 / depth = -(n . (x', y', 1)) / d
    # n from the corners (Newell), since a face's own normal may be bent for lighting
    after = np.arange(len(optical)) + 1
    after[ends - 1] = faces.starts
    across = np.add.reduceat(np.cross(optical, optical[after]), faces.starts)
    n = across[kept]
    d = -(n * first[kept]).sum(axis=1)
    d = np.where(np.abs(d) < 1e-9, 1e-9, d)
    slope = -n / d[:, None]
    a, b = slope[:, 0] / camera.fx, slope[:, 1] / camera.fy
    plane = np.stack([a, b, slope[:, 2] - a * camera.cx - b * camera.cy], axis=-1)
    return Seen(kept, polygons, np.maximum(nearest[kept], NEAR_M), furthest[kept], box, plane)


def _clip(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Clip a polygon in the optical frame to a pyramid somewhat wider than the image."""
    x, y = 1.5 * camera.width_px / camera.fx, 2.5 * camera.height_px / camera.fy
    planes = np.array(
        [[0, 0, 1, -NEAR_M], [1, 0, x, 0], [-1, 0, x, 0], [0, 1, y, 0], [0, -1, y, 0]]
    )
    for plane in planes:
        side = points @ plane[:3] + plane[3]
        if (side >= 0).all():
            continue
        out = []
        for i in range(len(points)):
            j = (i + 1) % len(points)
            if side[i] >= 0:
                out.append(points[i])
            if (side[i] >= 0) != (side[j] >= 0):
                part = side[i] / (side[i] - side[j])
                out.append(points[i] + part * (points[j] - points[i]))
        if len(out) < 3:
            return np.zeros((0, 3))
        points = np.array(out)
    return points
