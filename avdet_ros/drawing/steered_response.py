"""The steered response of a passing vehicle, before and after a calibration, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from matplotlib.figure import Figure
import numpy as np

DARKEST_SHARE = 0.2
"""Of the fit of a perfect wave; what is below is drawn alike."""


def draw_steered_response(
    time_s: np.ndarray,
    azimuths: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    path_or_file: Path | IO[bytes],
) -> None:
    """Draw two maps of time and direction as a PNG.

    Args:
        time_s: (S,) of the columns.
        azimuths: (A,) radians from 0 all around, of the rows.
        before: (S, A) how much of the wave fits each direction, 1 for all of it.
        after: (S, A) the same for the calibrated array.
        path_or_file: where to write.
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
