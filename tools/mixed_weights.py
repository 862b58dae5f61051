"""Write a run with weights between a model's and the mean of runs fine-tuned from it.

    python tools/mixed_weights.py MODEL SHARE OUT RUN [RUN ...]
    avdet train any-array TRAIN VAL --out OUT --export-only

SHARE is the weight of the runs' mean, from 0 to 1 (`weights_between.py` scores several shares).
OUT receives the best.pt of the first RUN with these weights; the second command exports a model
file.
"""

from __future__ import annotations

from pathlib import Path
import sys

from averaged_runs import mean_of
import torch
from weights_between import read

from avdet_ros.files import write_atomically
from avdet_ros.training.any_array.fitting.run_file import BEST, read_run_file


def main(model: Path, share: float, out: Path, runs: list[Path]) -> None:
    """Write OUT/best.pt."""
    taught = [read(path) for path in runs]
    networks = [read(model, taught[0].shape.own_columns), *taught]
    shares = [1 - share] + [share / len(runs)] * len(runs)
    saved = read_run_file(runs[0] / BEST)
    saved['plan'] |= {'start_from': str(model), 'share': share, 'runs': len(runs)}
    saved['network'] = mean_of(networks, shares).state_dict()
    out.mkdir(parents=True, exist_ok=True)
    with write_atomically(out / BEST) as file:
        torch.save(saved, file)
    print(out / BEST)


if __name__ == '__main__':
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), list(map(Path, sys.argv[4:])))
