"""A map of occupied cells seen from above, and lines of sight in it."""

from __future__ import annotations

import math

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.tracking.ego_motion import PlanarPose

OCCUPIED = 65
"""Occupancy in per cent from which a cell is occupied, as in Nav2's map server; -1 is unknown."""

LEAST_CELL_M = 0.25
"""Finer cells are pooled to about this size; a pooled cell is occupied if any part of it is."""

MOST_CELLS = 16_000_000
"""Larger maps are refused."""

FARTHEST_M = 100.0
"""Maximum length of a ray."""

_LARGEST_CELL_M = 10.0
_STEP_SHARE = 0.7


class Cells:
    """Occupied cells in a plane.

    Attributes:
        occupied: (rows, columns) bool; columns run along x of the map's own frame, rows along y.
        cell_m: side of a cell.
        origin: corner of the first cell, and rotation of the map, in the fixed frame.
    """

    def __init__(self, occupied: np.ndarray, cell_m: float, origin: PlanarPose) -> None:
        """Store values that `make_cells` has checked."""
        self.occupied, self.cell_m, self.origin = occupied, cell_m, origin
        self._bordered = np.pad(occupied, 1)

    def blocked(
        self,
        eyes_m: np.ndarray,
        places_m: np.ndarray,
        free_m: float = 0.0,
        short_m: float = 0.0,
    ) -> np.ndarray:
        """Return whether an occupied cell blocks the line of sight between two positions.

        Nothing outside the map blocks it.

        Args:
            eyes_m: (N, 2) observer positions in the fixed frame, or (2,).
            places_m: (N, 2) observed positions in the fixed frame.
            free_m: length at the observer that is ignored: the map may contain the ego vehicle.
            short_m: length at the observed position that is ignored: the map may contain the
                object there.

        Returns:
            (N,) bool.
        """
        places = np.asarray(places_m, np.float64).reshape(-1, 2)
        eyes = np.broadcast_to(np.asarray(eyes_m, np.float64), places.shape)
        offsets = places - eyes
        length = np.hypot(*offsets.T)
        longest = min(float(length.max(initial=0.0)) - short_m, FARTHEST_M)
        if longest <= free_m:
            return np.zeros(len(places), bool)
        along = np.arange(free_m, longest, _STEP_SHARE * self.cell_m, dtype=np.float32)
        cos, sin = math.cos(self.origin.yaw_rad), math.sin(self.origin.yaw_rad)
        turn = np.array([[cos, sin], [-sin, cos]]) / self.cell_m
        start = ((eyes - [self.origin.x_m, self.origin.y_m]) @ turn.T).astype(np.float32)
        direction = ((offsets / np.maximum(length, 1e-9)[:, None]) @ turn.T).astype(np.float32)
        rows, columns = self.occupied.shape
        # Points outside the map fall on a border of free cells.
        column = np.floor(np.clip(start[:, :1] + along * direction[:, :1], -1, columns)).astype(
            np.int32
        )
        row = np.floor(np.clip(start[:, 1:] + along * direction[:, 1:], -1, rows)).astype(np.int32)
        ends = np.searchsorted(along, (length - short_m).astype(np.float32))
        counted = np.arange(len(along)) < ends[:, None]
        return (self._bordered[row + 1, column + 1] & counted).any(axis=1)


def make_cells(percent: np.ndarray, cell_m: float, origin: PlanarPose) -> Cells:
    """Create a map from the values of an occupancy grid.

    Args:
        percent: (rows, columns) int8, 0 to 100; unknown cells (-1) count as free.
        cell_m: side of a cell.
        origin: corner of the first cell in the fixed frame.

    Raises:
        AvdetError: there are no cells or too many, or their size or origin is invalid.
    """
    numbers = np.asarray(percent)
    rows, columns = numbers.shape
    if not 0 < numbers.size <= MOST_CELLS:
        raise AvdetError(f'map: expected 1 to {MOST_CELLS} cells, found {columns} x {rows}')
    if not (math.isfinite(cell_m) and 0 < cell_m <= _LARGEST_CELL_M):
        raise AvdetError(f'map: expected cells of at most {_LARGEST_CELL_M:g} m, found {cell_m} m')
    if not all(map(math.isfinite, (origin.x_m, origin.y_m, origin.yaw_rad))):
        raise AvdetError('map: expected a finite origin, found NaN or infinity')
    occupied = numbers >= OCCUPIED
    pool = min(max(1, round(LEAST_CELL_M / cell_m)), max(rows, columns))
    if pool > 1:
        whole = np.zeros((-(-rows // pool) * pool, -(-columns // pool) * pool), bool)
        whole[:rows, :columns] = occupied
        parts = whole.reshape(whole.shape[0] // pool, pool, whole.shape[1] // pool, pool)
        occupied = np.asarray(parts.any(axis=(1, 3)))
    return Cells(occupied, pool * cell_m, origin)
