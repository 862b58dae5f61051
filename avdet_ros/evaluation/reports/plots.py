"""Curves and maps of a report, rendered by matplotlib to bytes; no window, no global state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import io
from typing import Any

import cv2
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
import numpy as np

from avdet_ros.dataset.subsets import evenly_spaced
from avdet_ros.evaluation.boxes.error_maps import ErrorMaps
from avdet_ros.evaluation.boxes.metrics import CENTRE_SCORE, DriveHits, precision_recall

COLOURS = ('#1f6feb', '#d9730d', '#6e7781', '#8250df', '#1a7f37', '#bf3989')
"""Colours of the detectors, in the order of the tables."""

CURVE_IOUS = (0.5, 0.75)
MOST_ARROWS = 400

_STYLE: dict[Any, Any] = {
    'font.family': 'sans-serif',
    'font.size': 10,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.edgecolor': '#8c959f',
    'axes.titlesize': 11,
    'axes.titlelocation': 'left',
    'svg.fonttype': 'none',
    'svg.hashsalt': 'avdet',
}


def precision_recall_svg(hits: Mapping[str, Sequence[DriveHits]]) -> bytes:
    """Plot precision over recall at IoU 0.5 and 0.75, one line per detector.

    A dot marks the threshold `CENTRE_SCORE`.

    Args:
        hits: matches of each drive, by detector.
    """

    def draw(figure: Figure) -> None:
        for axes, iou in zip(figure.subplots(1, len(CURVE_IOUS)), CURVE_IOUS, strict=True):
            for index, (name, drives) in enumerate(hits.items()):
                curve = precision_recall(drives, iou)
                colour = COLOURS[index % len(COLOURS)]
                axes.plot(*_thinned(curve.recall, curve.precision), color=colour, label=name)
                dot = curve.at(CENTRE_SCORE)
                if dot is not None:
                    axes.plot(*dot, 'o', color=colour, markersize=6)
            axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel='recall', title=f'IoU {iou:g}')
            axes.set_ylabel('precision')
            axes.grid(color='#eaeef2')
        axes.legend(frameon=False, fontsize=9)

    return _svg(draw, (10, 3.6))


def error_maps_jpeg(maps: ErrorMaps, frames: int, backdrop: np.ndarray | None) -> bytes:
    """Plot maps of missed vehicles, false boxes and displacements of boxes.

    Args:
        maps: maps of one detector.
        frames: number of frames that the maps cover.
        backdrop: (H, W, 3) uint8 BGR, any picture of the camera; None for none.
    """
    height, width = np.array(maps.vehicles.shape) * maps.cell_px
    if backdrop is not None:
        height, width = backdrop.shape[:2]
    missed = maps.missed / max(frames, 1)
    false = maps.false / max(frames, 1)

    def draw(figure: Figure) -> None:
        rows = figure.subplots(3, 1)
        for axes, grid, title in (
            (rows[0], missed, 'missed: vehicles without a box, a frame'),
            (rows[1], false, 'false: boxes where nothing is, a frame'),
        ):
            _backdrop(axes, backdrop, width, height)
            shown = axes.imshow(
                grid,
                extent=(0, grid.shape[1] * maps.cell_px, grid.shape[0] * maps.cell_px, 0),
                cmap=_HEAT,
                vmin=0,
                vmax=max(float(grid.max()), 1e-3),
                interpolation='bilinear',
            )
            axes.set(title=title, xlim=(0, width), ylim=(height, 0))
            figure.colorbar(shown, ax=axes, pad=0.01, fraction=0.02)
        axes = rows[2]
        _backdrop(axes, backdrop, width, height)
        _arrows(axes, maps)
        axes.set(title='displaced: arrows from the vehicle to its box')
        axes.set(xlim=(0, width), ylim=(height, 0))

    png = _render(draw, (10, 11), 'png', dpi=100)
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None  # the PNG was made above
    return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 86])[1].tobytes()


_HEAT = LinearSegmentedColormap.from_list(
    'heat', [(1, 0.85, 0.2, 0.0), (1, 0.7, 0.1, 0.55), (0.85, 0.05, 0.1, 0.85)]
)


def _backdrop(axes: Axes, backdrop: np.ndarray | None, width: int, height: int) -> None:
    if backdrop is not None:
        grey = cv2.cvtColor(backdrop, cv2.COLOR_BGR2GRAY).astype(float)
        low, high = np.percentile(grey, [1, 99])
        grey = np.clip((grey - low) / max(high - low, 1), 0, 1)
        axes.imshow(0.55 + 0.45 * grey, cmap='gray', vmin=0, vmax=1, extent=(0, width, height, 0))
    axes.set_xticks(range(0, width + 1, 320))
    axes.set_yticks(range(0, height + 1, 200))


def _arrows(axes: Axes, maps: ErrorMaps) -> None:
    start, end = maps.displaced_from, maps.displaced_to
    if len(start) > MOST_ARROWS:
        indices = evenly_spaced(len(start), MOST_ARROWS)
        start, end = start[indices], end[indices]
    if len(start):
        shift = end - start
        axes.quiver(
            *start.T,
            *shift.T,
            angles='xy',
            scale_units='xy',
            scale=1,
            color='#8250df',
            alpha=0.6,
            width=0.0016,
            headwidth=5,
        )


def _thinned(x: np.ndarray, y: np.ndarray, most: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    if len(x) <= most:
        return x, y
    indices = evenly_spaced(len(x), most)
    return x[indices], y[indices]


def _svg(draw: Callable[[Figure], None], inches: tuple[float, float]) -> bytes:
    return _render(draw, inches, 'svg', metadata={'Date': None, 'Creator': None})


def _render(
    draw: Callable[[Figure], None], inches: tuple[float, float], form: str, **options: Any
) -> bytes:
    with rc_context(_STYLE):
        figure = Figure(figsize=inches, layout='constrained')
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, **options)
    return buffer.getvalue()
