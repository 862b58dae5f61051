"""What runs of one beginning and several seeds score, and what the mean of their weights does.

    python tools/averaged_runs.py WINDOWS RUN RUN [RUN ...]

RUN is the folder of a run of `avdet train any-array` (its best.pt), WINDOWS a set of validation
windows. Runs that begin with the same weights (`--start-from`) may end in one valley of the loss,
and the mean of their weights lower in it than each of them (M. Wortsman et al., "Model soups:
averaging weights of multiple fine-tuned models improves accuracy without increasing inference
time", ICML 2022). The mean of what the runs say of a window takes as many times the inference.
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
    """The mean of weights and of statistics of batch normalisation; counts are the first's.

    Args:
        networks: of one shape.
        shares: what each counts, of sum 1; None for all alike.
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


class Together:
    """Networks of one shape that say the mean of what each says."""

    def __init__(self, networks: Sequence[BearingFirst]) -> None:
        """Take them."""
        self._networks, self.shape = networks, networks[0].shape

    def eval(self) -> None:
        """As each network's."""
        for network in self._networks:
            network.eval()

    def __call__(self, level_db: Tensor, coherence: Tensor, steering: Tensor) -> Tensor:
        """(B, VALUES, front), see `BearingFirst.forward`."""
        said = [network(level_db, coherence, steering) for network in self._networks]
        return torch.stack(said).mean(dim=0)


def windows_of(folder: Path, shape: BearingShape) -> ArrayStore:
    """All windows of a set, with the steering for networks of a shape."""
    store = AnyArrayRun(folder, folder, folder, shape=shape).store(folder, None)
    store.refresh()
    return store


def main() -> None:
    """Print a line a run, and one of each mean."""
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    windows, *runs = map(Path, sys.argv[1:])
    networks = [load_best(folder) for folder in runs]
    val = windows_of(windows, networks[0].shape)
    names = [*(folder.name for folder in runs), 'the mean of their weights']
    names += ['the mean of what they say']
    means = [mean_of(networks), Together(networks)]
    for name, network in zip(names, [*networks, *means], strict=True):
        scores = scores_of(found_in(network, val), val)
        print(
            f'| {name} | {scores["bearing_ap"]:.3f} | {scores["bearing_recall"]:.3f} | '
            f'{scores["azimuth_error_deg"]:.2f}° | {scores["ap50"]:.3f} |',
            flush=True,
        )


if __name__ == '__main__':
    main()
