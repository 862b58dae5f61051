"""Calibrated scores: of a hundred boxes scored 0.8, eighty overlap a vehicle.

A network's own scores order its boxes but are not probabilities. A monotone curve from logit to
the measured share of boxes that match a true one corrects this without changing the order. It is
fitted to the validation windows and is part of the model's graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq, isotonic_regression
import torch
from torch import Tensor, nn

from avdet_ros.evaluation.boxes.metrics import match

KNOTS = 16
"""Number of groups of boxes that the curve passes through."""

TOP_GROUP = 20
"""Boxes in the group of the highest logits."""

MIN_SLOPE = 1e-3
"""Minimum slope of the curve per logit, so that better boxes stay better."""


class Calibration(nn.Module):
    """A rising, piecewise linear curve from logits to scores.

    score = s_0 + sum_k slope_k (min(x, x_{k+1}) - x_k)+, between the first and the last knot.
    Initially it is a piecewise linear approximation of the logistic function.
    """

    def __init__(self) -> None:
        super().__init__()
        logits = np.linspace(-6, 6, KNOTS)
        self.register_buffer('logits', torch.zeros(KNOTS))
        self.register_buffer('scores', torch.zeros(KNOTS))
        self.set(logits, 1 / (1 + np.exp(-logits)))

    def set(self, logits: np.ndarray, scores: np.ndarray) -> None:
        """Set a curve of `KNOTS` points, logits and scores both rising."""
        self.logits.copy_(torch.from_numpy(np.asarray(logits, np.float32)))
        self.scores.copy_(torch.from_numpy(np.asarray(scores, np.float32)))

    def forward(self, logits: Tensor) -> Tensor:
        """Convert logits of any shape to scores in (0, 1)."""
        low, high = self.logits[:-1], self.logits[1:]
        share = ((logits[..., None] - low) / (high - low)).clamp(0, 1)
        return self.scores[0] + (share * (self.scores[1:] - self.scores[:-1])).sum(dim=-1)


def matches(
    found: Sequence[np.ndarray], true: Sequence[np.ndarray], iou_threshold: float = 0.5
) -> list[np.ndarray]:
    """Find which predicted boxes are right, see `match`.

    Args:
        found: per window (n, 4) boxes, best first.
        true: per window (m, 4) boxes.
        iou_threshold: least IoU of a match.

    Returns:
        per window (n,) bool.
    """
    return [
        match(boxes, truth, iou_threshold) >= 0 for boxes, truth in zip(found, true, strict=True)
    ]


def fit_curve(logits: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the rising curve that best explains which boxes were right.

    Isotonic regression (pool adjacent violators) over groups of boxes of neighbouring logits. The
    group of the highest logits is the smallest, and each next one is larger by the same factor:
    few boxes have such logits, but the tracker's threshold lies among them.

    Args:
        logits: (N,) of all boxes.
        right: (N,) bool, which of them are right.

    Returns:
        logits, scores: (KNOTS,) float64, both strictly rising, scores in (0, 1).
    """
    if len(logits) < TOP_GROUP * KNOTS:
        knots = np.linspace(-6, 6, KNOTS)
        return knots, 1 / (1 + np.exp(-knots))
    order = np.argsort(logits, kind='stable')
    borders = len(logits) - _group_sizes(len(logits))[:0:-1].cumsum()[::-1]
    groups = [
        (logits[part].astype(np.float64), right[part].astype(np.float64))
        for part in np.split(order, borders)
    ]
    counts = np.array([len(values) for values, _ in groups], np.float64)
    # Half a right and half a wrong box are added, so that no score is exactly 0 or 1.
    shares = np.array([(hits.sum() + 0.5) / (len(hits) + 1) for _, hits in groups])
    scores = isotonic_regression(shares, weights=counts).x
    knots = np.maximum.accumulate([values.mean() for values, _ in groups])
    knots = knots + 1e-4 * np.arange(KNOTS)
    climb = MIN_SLOPE * (knots - knots[0])
    return knots, np.clip(scores * (1 - climb[-1]) + climb, 1e-4, 1 - 1e-4)


def _group_sizes(count: int) -> np.ndarray:
    """Sizes of `KNOTS` groups from the lowest logits on, geometric, the last one `TOP_GROUP`."""
    growth = brentq(lambda g: TOP_GROUP * np.sum(g ** np.arange(KNOTS)) - count, 1.0, 10.0)
    sizes = np.floor(TOP_GROUP * growth ** np.arange(KNOTS)).astype(int)
    sizes[-1] += count - sizes.sum()
    return sizes[::-1]
