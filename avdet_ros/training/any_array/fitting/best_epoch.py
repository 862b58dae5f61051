"""The best epoch in a run's folder: its network, and how it was trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.fitting.run_file import BEST, read_run_file
from avdet_ros.training.any_array.fitting.start_weights import StartWeights, read_start_weights


@dataclass(frozen=True)
class BestEpoch:
    """A run's best epoch.

    Attributes:
        start: its network.
        plan: how it was fitted, see `FitPlan`.
        labels_at: instant of the window that its labels are for.
        row: its line in the log.
    """

    start: StartWeights
    plan: dict[str, Any]
    labels_at: str
    row: dict[str, float]


def read_best(out: Path) -> BestEpoch:
    """Read the best epoch of a run.

    Raises:
        AvdetError: there is none, it cannot be read, or it does not record its training arrays.
    """
    start = read_start_weights(out / BEST)
    saved = read_run_file(out / BEST, 'plan', 'labels_at', 'row')
    if start.ranges is None:
        raise AvdetError(
            f'{out / BEST}: expected the arrays of its training windows (ranges), found none: it '
            'is from an older version; start a new run from it (--start-from)'
        )
    return BestEpoch(start, saved['plan'], saved['labels_at'], saved['row'])


def load_best(out: Path, device: torch.device | str = 'cpu') -> BearingFirst:
    """Load the network of a run's best epoch.

    Raises:
        AvdetError: there is none, or it cannot be read.
    """
    return read_start_weights(out / BEST).network().to(device).eval()
