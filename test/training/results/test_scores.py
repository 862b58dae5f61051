from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.training.results.scores import metrics


def test_metrics_of_the_truth_are_perfect(located):
    windows = located(32, 0)
    found = [(boxes, np.full(len(boxes), 0.9)) for boxes in windows.boxes]
    result = metrics(found, windows)
    assert result.map == pytest.approx(1)
    assert result.cdx == pytest.approx(0, abs=1e-6)
