"""Motion of a drive's vehicle, and the air temperature, if the drive contains them.

``odometry.csv`` lies next to the drive's sound, one pose per line, with rising stamps in ns:

    stamp_ns,x_m,y_m,yaw_rad,ahead_mps
    1700000000000000000,0.0000,0.0000,0.000000,10.0000
    1700000000050000000,0.5000,0.0000,0.000000,

x, y and yaw are the pose of base_link in a fixed frame, and ``ahead_mps`` is the speed along its x
axis, negative backwards, empty if it is unknown. The motion of a drive without this file is
unknown. The air temperature is ``temperature_c`` in ``parameters.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.dataset import layout
from avdet_ros.detection.moving_steering import check_air
from avdet_ros.detection.steering import FASTEST_MPS
from avdet_ros.errors import AvdetError
from avdet_ros.files import read_bounded, write_atomically
from avdet_ros.quoting import brief_repr

FILE = 'odometry.csv'
COLUMNS = ('stamp_ns', 'x_m', 'y_m', 'yaw_rad', 'ahead_mps')

FRAME = 'odom'
"""Name of the fixed frame in messages. For a simulated drive it is the world frame."""

STEP_S = 0.05
"""Interval of the poses that are written: a vehicle's speed does not change faster."""

HOLDS_S = 0.5
"""How long a speed is valid before and after its stamp."""

LARGEST_BYTES = 64 << 20
"""Ten hours at `STEP_S` take 43 MB."""


@dataclass(frozen=True)
class Odometry:
    """Path of a vehicle.

    Attributes:
        stamps_ns: (N,) int64, rising.
        x_m: (N,) float64, position of base_link in a fixed frame.
        y_m: (N,) float64, position of base_link in a fixed frame.
        yaw_rad: (N,) float64, rotation to the left.
        ahead_mps: (N,) float64 speed along base_link's x axis, NaN if unknown.
    """

    stamps_ns: np.ndarray
    x_m: np.ndarray
    y_m: np.ndarray
    yaw_rad: np.ndarray
    ahead_mps: np.ndarray

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def ahead_at(self, stamps_ns: ArrayLike) -> np.ndarray:
        """Return (...) float64 speeds at stamps, NaN further than `HOLDS_S` from a known one."""
        requested = np.asarray(stamps_ns, np.int64)
        known = np.isfinite(self.ahead_mps)
        if not known.any():
            return np.full(requested.shape, np.nan)
        stamps, speeds = self.stamps_ns[known], self.ahead_mps[known]
        after = np.searchsorted(stamps, requested).clip(0, len(stamps) - 1)
        before = (after - 1).clip(0)
        near_ns = np.minimum(np.abs(stamps[after] - requested), np.abs(stamps[before] - requested))
        # Relative to the first stamp: seconds since 1970 as floats have a resolution of only a
        # quarter of a microsecond.
        found = np.interp((requested - stamps[0]) * 1e-9, (stamps - stamps[0]) * 1e-9, speeds)
        return np.where(near_ns <= HOLDS_S * 1e9, found, np.nan)


def write_odometry(folder: Path, odometry: Odometry) -> None:
    """Write a drive's file; equal paths yield equal bytes.

    Raises:
        AvdetError: it cannot be written.
    """
    columns = (odometry.x_m, odometry.y_m, odometry.yaw_rad, odometry.ahead_mps)
    lines = [','.join(COLUMNS)]
    for stamp, x, y, yaw, ahead in zip(odometry.stamps_ns, *columns, strict=True):
        speed = f'{ahead:.4f}' if math.isfinite(ahead) else ''
        lines.append(f'{stamp},{x:.4f},{y:.4f},{yaw:.6f},{speed}')
    with write_atomically(folder / FILE) as file:
        file.write(('\n'.join(lines) + '\n').encode())


def read_odometry(folder: Path) -> Odometry | None:
    """Read a drive's file.

    Returns:
        The odometry; None if the drive has no such file.

    Raises:
        AvdetError: it is too large, a line is not a pose, or its stamp is not after the previous
            one.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    data = read_bounded(path, LARGEST_BYTES, 'odometry of a drive')
    head, *lines = data.decode(errors='replace').splitlines() or ['']
    if head.strip() != ','.join(COLUMNS):
        raise AvdetError(f'{path}:1: expected {",".join(COLUMNS)}, found {brief_repr(head)}')
    stamps, rows = np.empty(len(lines), np.int64), np.empty((len(lines), 4))
    last = 0
    for index, line in enumerate(lines):
        where = f'{path}:{index + 2}'
        stamp, row = _pose(line, where)
        if stamp <= last:
            raise AvdetError(f'{where}: expected a stamp after {last} ns, found {stamp} ns')
        stamps[index], rows[index], last = stamp, row, stamp
    return Odometry(stamps, *rows.T)


def _pose(line: str, where: str) -> tuple[int, list[float]]:
    """Parse the stamp and the four numbers of a line."""
    stamp, *fields = line.split(',')
    try:
        if len(fields) != 4 or not 0 < int(stamp) < 1 << 63:
            raise ValueError
        row = [float(field) for field in fields[:3]]
        row.append(float(fields[3]) if fields[3].strip() else math.nan)
        good = all(map(math.isfinite, row[:3])) and not abs(row[3]) > FASTEST_MPS
        if not good or (fields[3].strip() and math.isnan(row[3])):
            raise ValueError
    except ValueError as error:
        raise AvdetError(
            f'{where}: expected {",".join(COLUMNS)} of a vehicle of at most {FASTEST_MPS:g} m/s, '
            f'found {brief_repr(line)}'
        ) from error
    return int(stamp), row


def read_air_c(folder: Path) -> float | None:
    """Return the air temperature of a drive in degrees Celsius, None if the drive has none.

    Raises:
        AvdetError: its parameters cannot be read, or the temperature is out of range.
    """
    path = folder / 'parameters.json'
    value = layout.read_parameters(folder).get('temperature_c') if path.is_file() else None
    if value is None:
        return None
    try:
        return check_air(float(value), f'{path}: temperature_c')
    except (TypeError, ValueError) as error:
        raise AvdetError(
            f'{path}: temperature_c: expected degrees Celsius, found {brief_repr(value)}'
        ) from error


def check_motion(
    root: Path, drive: str, frames: Sequence[layout.FrameId], add: Callable[..., None]
) -> None:
    """Report problems in a drive's speed and air temperature, inputs of a model for any array.

    Args:
        root: the data set's folder.
        drive: name of the drive.
        frames: frames of the drive.
        add: called with level, drive, kind of problem, an example and the number of occurrences.
    """
    try:
        odometry, _ = read_odometry(root / drive), read_air_c(root / drive)
    except AvdetError as error:
        add('error', drive, 'unreadable odometry or temperature', str(error))
        return
    if odometry is None:
        return
    unknown = np.flatnonzero(np.isnan(odometry.ahead_at([frame.stamp_ns for frame in frames])))
    if len(unknown):
        problem = f'frames without a speed in {FILE}'
        add('warning', drive, problem, str(frames[unknown[0]]), len(unknown))
