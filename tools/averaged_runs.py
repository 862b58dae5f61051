"""Score runs with the same start weights and different seeds, and the mean of their weights.

    python tools/averaged_runs.py WINDOWS RUN RUN [RUN ...]

RUN is the folder of a run of `avdet train any-array` (its best.pt), WINDOWS a set of validation
windows. Runs with the same start weights (`--start-from`) may end in the same valley of the loss,
and the mean of their weights may lie lower in it than each of them (M. Wortsman et al., "Model
soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", ICML 2022). Averaging the predictions of the runs instead needs one inference per
run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import sys

import torch
from torch import Tensor

from avdet_ros.training.any_array.bearing_first import BearingFirst, BearingShape
from avdet_ros.training.any_array.fitting.best_epoch import load_best
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of
from avdet_ros.training.any_array.run import AnyArrayRun
from avdet_ros.training.any_array.windows.store import ArrayStore


def mean_of(
    networks: Sequence[BearingFirst], shares: Sequence[float] | None = None
) -> BearingFirst:
    """Average weights and batch normalisation statistics; counts are those of the first network.

    Args:
        networks: networks of one shape.
        shares: weight of each network, with a sum of 1; None for equal weights.
    """
    shares = shares or [1 / len(networks)] * len(networks)
    states = [network.state_dict() for network in networks]
    mean: dict[str, Tensor] = {}
    for name, value in states[0].items():
        if value.is_floating_point():
            parts = [share * state[name] for share, state in zip(shares, states, strict=True)]
            value = torch.stack(parts).sum(dim=0)
        mean[name] = value
    network = BearingFirst(networks[0].shape)
    network.load_state_dict(mean)
    return network


class Ensemble:
    """An ensemble: predicts the mean of the predictions of networks of one shape."""

    def __init__(self, networks: Sequence[BearingFirst]) -> None:
        """Store the networks."""
        self._networks, self.shape = networks, networks[0].shape

    def eval(self) -> None:
        """Set all networks to evaluation mode."""
        for network in self._networks:
            network.eval()

    def __call__(self, level_db: Tensor, coherence: Tensor, steering: Tensor) -> Tensor:
        """Predict (B, VALUES, front), see `BearingFirst.forward`."""
        predictions = [network(level_db, coherence, steering) for network in self._networks]
        return torch.stack(predictions).mean(dim=0)


def windows_of(folder: Path, shape: BearingShape) -> ArrayStore:
    """Load all windows of a set, with the steering for networks of a shape."""
    store = AnyArrayRun(folder, folder, folder, shape=shape).store(folder, None)
    store.refresh()
    return store


def main() -> None:
    """Print one row per run and one per mean."""
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    windows, *runs = map(Path, sys.argv[1:])
    networks = [load_best(folder) for folder in runs]
    val = windows_of(windows, networks[0].shape)
    names = [*(folder.name for folder in runs), 'the mean of their weights']
    names += ['the mean of their predictions']
    means = [mean_of(networks), Ensemble(networks)]
    for name, network in zip(names, [*networks, *means], strict=True):
        scores = scores_of(found_in(network, val), val)
        print(
            f'| {name} | {scores["bearing_ap"]:.3f} | {scores["bearing_recall"]:.3f} | '
            f'{scores["azimuth_error_deg"]:.2f}° | {scores["ap50"]:.3f} |',
            flush=True,
        )


if __name__ == '__main__':
    main()
