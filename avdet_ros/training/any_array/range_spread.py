"""Calibrated range intervals: they contain the true range nine times in ten.

A network trained on the bins of true ranges stays a little less certain than it could be. One
factor on the logarithms' distances from the median corrects that, as a temperature does for
classes (C. Guo et al., "On calibration of modern neural networks", ICML 2017); medians stay. The
factor is fitted to the validation windows and is part of the model's graph.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.evaluation.bearings.metrics import MatchedBearings, operating_point
from avdet_ros.evaluation.bearings.scores import ranges_at
from avdet_ros.training.any_array.boxes import QUANTILES

WANTED = QUANTILES[2] - QUANTILES[0]
"""Wanted share of true ranges between the outer quantiles."""

FEWEST = 20
"""With fewer true ranges, the factor stays 1."""


class RangeSpread(nn.Module):
    """Move the outer quantiles towards the median, or away from it.

    log q' = log m + factor (log q - log m). The initial factor changes nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('factor', torch.ones(1))

    def set(self, factor: float) -> None:
        """Set the factor."""
        self.factor.fill_(factor)

    def forward(self, range_m: Tensor) -> Tensor:
        """Correct (..., 3) quantiles of the range."""
        middle = range_m[..., 1:2].log()
        return torch.exp(middle + self.factor * (range_m.log() - middle))


def fit_spread(matched: MatchedBearings) -> float:
    """Return the factor with which `WANTED` of the true ranges lie in their intervals.

    Args:
        matched: of validation windows; only matches at the operating point count.
    """
    true_m, predicted_m = ranges_at(matched, operating_point(matched))
    true_m, predicted_m = true_m[true_m > 0], predicted_m[true_m > 0]
    if len(true_m) < FEWEST:
        return 1.0
    true, (low, middle, high) = np.log(true_m), np.log(predicted_m).T
    side = np.where(true > middle, high - middle, middle - low)
    return float(np.quantile(np.abs(true - middle) / np.maximum(side, 1e-6), WANTED))
