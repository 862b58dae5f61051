"""Metrics of heat maps that show where in the picture the sound comes from.

Consensus intersection over union (A. Senocak et al., "Learning to localize sound source in visual
scenes", CVPR 2018, section 5) and the area under its success curve; whether the peak lies in a
box; the share of the picture that lights up when nothing in it sounds, without which an empty map
would look good.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SUCCESS = 0.5
"""A picture with at least this consensus IoU is a success."""

STEPS = np.linspace(0, 1, 21)
"""Thresholds on the consensus IoU of the success curve."""


def consensus(masks: Sequence[np.ndarray], needed: int) -> np.ndarray:
    """Compute the consensus of annotators: min(sum of their masks / needed, 1).

    Args:
        masks: (H, W) bool each; a single one if it is exact, such as a renderer's.
        needed: how many must agree for a full point; 2 of 3 in the benchmark, 1 for exact masks.
    """
    return np.minimum(np.sum(np.asarray(masks, np.float64), axis=0) / needed, 1.0)


def box_mask(boxes: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Mark the cells, (rows, columns) bool, whose centre lies in one of (N, 4) relative boxes."""
    x, y = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
    mask = np.zeros((rows, columns), bool)
    for x_min, y_min, x_max, y_max in np.asarray(boxes, np.float64).reshape(-1, 4):
        mask |= ((y >= y_min) & (y < y_max))[:, None] & ((x >= x_min) & (x < x_max))[None]
    return mask


def consensus_iou(heat: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    """Compute sum of g over A / (sum of g + cells of A outside of g), A = {heat > threshold}.

    Args:
        heat: (H, W), in any unit.
        truth: (H, W) float64 in [0, 1], the `consensus` g; not empty.
        threshold: threshold on the heat, fixed beforehand. The top half of the cells, as in some
            papers, is far too much for small boxes.
    """
    lit = heat > threshold
    return float(truth[lit].sum() / (truth.sum() + (lit & (truth == 0)).sum()))


def success(ious: Sequence[float]) -> tuple[float, float]:
    """Return the share of pictures that are a success, and the area under it over `STEPS`."""
    found = np.asarray(ious, np.float64)
    if not len(found):
        return float('nan'), float('nan')
    curve = (found[None] >= STEPS[:, None]).mean(axis=1)
    return float((found >= SUCCESS).mean()), float(np.trapezoid(curve, STEPS))


def peak_inside(heat: np.ndarray, boxes: np.ndarray) -> bool:
    """Return whether the centre of the hottest cell lies in one of (N, 4) relative boxes."""
    return bool(box_mask(boxes, *heat.shape).flat[int(np.argmax(heat))])


def lit_share(heat: np.ndarray, threshold: float) -> float:
    """Return the share of the picture above a threshold; for pictures in which nothing sounds."""
    return float((heat > threshold).mean())


def best_heat(
    heats: Sequence[np.ndarray], truths: Sequence[np.ndarray], candidates: int = 20
) -> float:
    """Find the threshold with the largest mean consensus IoU, on validation drives for test."""
    values = np.concatenate([np.ravel(heat) for heat in heats])
    steps = np.unique(np.quantile(values, np.linspace(0.5, 0.999, candidates)))
    means = [
        np.mean([consensus_iou(h, g, step) for h, g in zip(heats, truths, strict=True)])
        for step in steps
    ]
    return float(steps[int(np.argmax(means))])
