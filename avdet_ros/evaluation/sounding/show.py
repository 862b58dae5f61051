"""Pictures of a data set on the live page: probability to sound of each box, and attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.dataset.attention_maps import read_attention
from avdet_ros.dataset.label_filter import KEEP, OPEN, FilteredFrame, read_filtered
from avdet_ros.dataset.labels import LABELS
from avdet_ros.drawing.live_page import LivePage
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.on_dataset import frames_of

SHOWN_AS = {KEEP: 1.0, OPEN: 0.5}
"""Number shown at a box by result verdict if the filter has no probability; 0 for road."""


def show_filtered(
    root: Path,
    page: LivePage,
    name: str = 'sounding',
    split: str = 'val',
    labels: Path | None = None,
) -> int:
    """Show every frame of a split that a filter covers; see `dataset.label_filter`.

    Stored attention (`dataset.attention_maps`) is drawn over the picture, with one scale for all
    frames of a drive.

    Args:
        root: the data set's folder.
        page: page to show the frames on.
        name: name of the filter.
        split: train, val or test.
        labels: folder of the label files, None for ``<root>/labels``.

    Returns:
        Number of frames shown.

    Raises:
        AvdetError: there is no such split, or a drive's filter is missing.
    """
    shown = 0
    for drive, frames in frames_of(root, split).items():
        filtered = read_filtered(labels or root / LABELS, name, drive)
        heat = read_attention(labels or root / LABELS, drive)
        most = max((float(cells.max()) for cells in heat.values()), default=1.0) or 1.0
        for frame in frames:
            if frame.stamp not in filtered:
                continue
            result = filtered[frame.stamp]
            page.at(frame.stamp_ns)
            page.picture(layout.read_picture(root, frame, 'rgb'))
            page.heat(heat.get(frame.stamp, np.zeros((0, 0))) / most)
            page.boxes('detections', result.boxes_px, chances(result), [''] * len(result.boxes_px))
            strips = result.open_px
            page.boxes('tracks', strips, np.zeros(len(strips)), ['0'] * len(strips))
            shown += 1
    page.close()
    if not shown:
        raise AvdetError(
            f'{root}: expected frames of {split} that the filter {name} knows, found none'
        )
    return shown


def chances(frame: FilteredFrame) -> np.ndarray:
    """Return the (N,) float64 probabilities to sound; from the verdict if there is no number."""
    verdict = np.array([SHOWN_AS.get(int(value), 0.0) for value in frame.verdict])
    return np.where(np.isfinite(frame.score), frame.score, verdict)
