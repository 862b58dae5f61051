"""The steered response of a passing vehicle, before and after a calibration, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from matplotlib.figure import Figure
import numpy as np

DARKEST_SHARE = 0.2
"""Lower end of the colour scale, as a share of a perfect wave's response."""


def draw_steered_response(
    time_s: np.ndarray,
    azimuths: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    path_or_file: Path | IO[bytes],
) -> None:
    """Draw two maps over time and direction as a PNG.

    Args:
        time_s: (S,) times of the columns.
        azimuths: (A,) azimuths of the rows, radians, from 0 all around.
        before: (S, A) share of the wave that fits each direction, 1 for all of it.
        after: (S, A) the same for the calibrated array.
        path_or_file: output path or file.
    """
    degrees = (np.degrees(azimuths) + 180) % 360 - 180
    order = np.argsort(degrees)
    figure = Figure(figsize=(10, 4.2), layout='constrained')
    axes = figure.subplots(1, 2, sharey=True)
    for axis, power, title in zip(
        axes, (before, after), ('as the rig file says', 'calibrated'), strict=True
    ):
        best = float(np.mean(power.max(axis=1))) if len(power) else 0.0
        mesh = axis.pcolormesh(
            time_s, degrees[order], power.T[order], vmin=DARKEST_SHARE, vmax=1.0, cmap='magma'
        )
        axis.set_title(f'{title}: {100 * best:.0f} % of the waves fit', loc='left', fontsize=11)
        axis.set_xlabel('time / s')
        axis.set_yticks(range(-180, 181, 45))
    axes[0].set_ylabel('azimuth / degrees, left positive')
    figure.colorbar(mesh, ax=axes, label='share of the wave from this direction')
    figure.savefig(path_or_file, dpi=110, format='png')
