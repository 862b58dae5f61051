"""Measure how often networks take other sounds for vehicles, at equal shares of vehicles found.

    python tools/taken_for_vehicles.py WINDOWS EMPTY MODEL [MODEL ...]

WINDOWS and EMPTY are sets of validation windows (`avdet sim windows --arrays drawn`, the second
with ``--empty``), MODEL a model file or the folder of a run (its last epoch), all with the same
number of columns. A network with lower scores overall takes fewer sounds for vehicles but also
finds fewer vehicles. So each is scored at the thresholds at which it finds the same shares of the
vehicles in WINDOWS, within 3 degrees.
"""

from __future__ import annotations

from pathlib import Path
import sys

from averaged_runs import windows_of
from found_in_sight import azimuths
import numpy as np
from speed_in_steering import scores
from weights_between import parts_of, read

from avdet_ros.evaluation.bearings.metrics import match_window
from avdet_ros.training.any_array.fitting.validation import (
    WITHIN_DEG,
    FoundInWindow,
    found_in,
)

SHARES = (0.25, 0.35, 0.45, 0.55)
"""Shares of vehicles found that define the thresholds."""


def thresholds(
    found: list[FoundInWindow], true_deg: list[np.ndarray], shares: tuple[float, ...]
) -> list[float]:
    """Return the highest logits at which shares of the vehicles are found; -inf if out of reach.

    Args:
        found: predictions in each window.
        true_deg: (M,) azimuths of the vehicles in each window.
        shares: shares of all vehicles.
    """
    matched = [
        window.logits[match_window(window.angles_deg[:, 0], truth, WITHIN_DEG) >= 0]
        for window, truth in zip(found, true_deg, strict=True)
    ]
    logits = np.sort(np.concatenate(matched))[::-1]
    vehicles = sum(map(len, true_deg))
    counts = [max(int(np.ceil(share * vehicles)), 1) for share in shares]
    return [float(logits[count - 1]) if count <= len(logits) else -np.inf for count in counts]


def share_above(found: list[FoundInWindow], threshold: float) -> float:
    """Return the share of windows with a bearing at or above a threshold."""
    return float(np.mean([bool((window.logits >= threshold).any()) for window in found]))


def main(windows: Path, empty: Path, *models: Path) -> None:
    """Print `speed_in_steering.WORDS`, and the shares of sounds taken for vehicles at `SHARES`."""
    networks = {model: read(model) for model in models}
    shape = networks[models[0]].shape
    store, silent = (windows_of(folder, shape) for folder in (windows, empty))
    truth = azimuths(store)
    parts = parts_of(windows, store)
    for model, network in networks.items():
        found, false = found_in(network, store), found_in(network, silent)
        taken = [share_above(false, limit) for limit in thresholds(found, truth, SHARES)]
        shares = ' | '.join(f'{share:.3f}' for share in taken)
        for name, rows in parts.items():
            numbers = ' | '.join(f'{number:.3f}' for number in scores(found, store, rows))
            print(f'| {model} | {name} | {numbers} | {shares} |', flush=True)


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
