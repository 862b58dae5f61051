"""Measure the gain of a memory across windows, trained together with the network's last layers.

    python tools/taught_memory.py MODEL WORK [SEED ...]

Windows of a drive are half a second apart. The columns of each window, from MODEL's frozen layers,
pass through a gated recurrent unit with convolutions along the directions (Ballas et al., "Delving
deeper into convolutional networks for learning video representations", ICLR 2016), whose state is
added to them before the last layers. The unit and the last layers are trained on all windows, once
with the state and once with the state reset before every window: the same weights and windows, but
no past. Windows with at least two seconds of past are scored.

Two sets of windows are written to WORK, unless they exist: some 15,000 of 640 drives, rendered
quickly, for training, and 1,664 of 208 others, rendered exactly, for scores.
"""

from __future__ import annotations

import copy
from dataclasses import replace
import math
from pathlib import Path
import sys

from averaged_runs import windows_of
import numpy as np
from speed_in_steering import WORDS, Part
import torch
from torch import Tensor, nn
from weights_between import read

from avdet_ros.cli.console import progress_bars
from avdet_ros.process import SignalFlag
from avdet_ros.rig import load_rig
from avdet_ros.simulation.array_windows import WindowPlan
from avdet_ros.simulation.window_shards import make_array_windows
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.fitting.frozen_parts import frozen_parts
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of
from avdet_ros.training.any_array.losses import bearing_loss
from avdet_ros.training.any_array.windows.augmentation import NO_AUGMENTATION
from avdet_ros.training.any_array.windows.store import ArrayStore

WINDOWS_A_DRIVE, SPACING_S = 8, 0.5
PAST = 4
"""Number of windows of a drive before the first scored one."""

_DRIVE = WindowPlan(windows_a_drive=WINDOWS_A_DRIVE, spacing_s=SPACING_S)

SETS = {
    'train': (replace(_DRIVE, arrays_a_window=3, quick=True), 640, 40_000),
    'val': (_DRIVE, 208, 164_000),
}
"""Plan, number of drives and first seed of each set."""

HIDDEN, REACH = 96, 5
"""Channels of the state, and columns within its reach per step: 3.5 degrees to either side."""

PASSES, BATCH, RATE, AVERAGE = 3, 8, 1e-3, 0.99


class Memory(nn.Module):
    """The last layers of a network, with a memory of earlier windows.

    Attributes:
        shape: shape of the network.
    """

    def __init__(self, network: BearingFirst) -> None:
        super().__init__()
        self.shape, deep = network.shape, network.shape.deep
        self.gates = nn.Conv1d(deep + HIDDEN, 2 * HIDDEN, REACH, padding=REACH // 2)
        self.new = nn.Conv1d(deep + HIDDEN, HIDDEN, REACH, padding=REACH // 2)
        self.out = nn.Conv1d(HIDDEN, deep, 1)
        # Starts as the given network; the memory's influence is learned from zero.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.dropout = copy.deepcopy(network.dropout)
        self.last = copy.deepcopy(network)
        self.last.requires_grad_(False)
        self.last.presence.requires_grad_(True)
        self.last.box.requires_grad_(True)

    def train(self, mode: bool = True) -> Memory:
        """Set training mode, except for the batch normalisation statistics, which stay fixed."""
        super().train(mode)
        self.last.eval()
        return self

    def forward(self, columns: Tensor, keep_state: bool) -> Tensor:
        """Predict (B, T, VALUES, front) from (B, T, deep, front) columns of successive windows."""
        state = columns.new_zeros(len(columns), HIDDEN, columns.shape[-1])
        predictions = []
        for now in columns.unbind(dim=1):
            if not keep_state:
                state = torch.zeros_like(state)
            update, reset = torch.sigmoid(self.gates(torch.cat([now, state], dim=1))).chunk(2, 1)
            candidate = torch.tanh(self.new(torch.cat([now, reset * state], dim=1)))
            state = (1 - update) * state + update * candidate
            predictions.append(self.last.column_values(self.dropout(now + self.out(state))))
        return torch.stack(predictions, dim=1)


def in_order(plan: WindowPlan, windows: int) -> Tensor:
    """Return the rows of a set as (drives x arrays, windows of a drive), in order of time."""
    rows = torch.arange(windows).reshape(-1, plan.windows_a_drive, plan.arrays_a_window)
    return rows.transpose(1, 2).flatten(0, 1)


def windows_and_columns(name: str, network: BearingFirst, work: Path) -> tuple[ArrayStore, Tensor]:
    """Return a set's windows, generated if missing, and the output of the frozen layers."""
    plan, drives, first = SETS[name]
    count = drives * plan.windows_a_drive * plan.arrays_a_window
    seeds, rig = (first, first + drives), load_rig()
    with progress_bars().step(f'windows to {name}', count) as advance:
        for made in make_array_windows(work / name, count, seeds, 2, plan, rig):
            advance(made)
    store = windows_of(work / name, network.shape)
    with SignalFlag() as stop:
        columns = frozen_parts(network, store, NO_AUGMENTATION, 0, stop, progress=progress_bars())
    if len(columns) < len(store):
        sys.exit(1)
    return store, columns


def trained(
    network: BearingFirst, store: ArrayStore, columns: Tensor, keep_state: bool, seed: int
) -> Memory:
    """Train for `PASSES` passes over all drives; return the averaged weights."""
    torch.manual_seed(seed)
    memory = Memory(network).train()
    averaged = copy.deepcopy(memory)
    learned = [part for part in memory.parameters() if part.requires_grad]
    moving = [part for part in averaged.parameters() if part.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=RATE, weight_decay=0.02)
    rows = in_order(SETS['train'][0], len(columns))
    batches = [
        batch for _ in range(PASSES) for batch in rows[torch.randperm(len(rows))].split(BATCH)
    ]
    name = f'seed {seed}, {"with" if keep_state else "without"} a past'
    with progress_bars().step(name, len(batches)) as advance:
        for step, batch in enumerate(batches):
            share = step / len(batches)
            for group in optimiser.param_groups:
                group['lr'] = RATE * min(1, (step + 1) / 50) * (1 + math.cos(math.pi * share)) / 2
            predictions = memory(columns[batch].float(), keep_state).flatten(0, 1)
            loss = bearing_loss(predictions, store.labels(batch.flatten()), network.shape)['loss']
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learned, 5.0)
            optimiser.step()
            with torch.no_grad():
                torch._foreach_lerp_(moving, learned, 1 - min(AVERAGE, (1 + step) / (10 + step)))
            advance(1)
    return averaged.eval()


class StoredPredictions:
    """Precomputed predictions for the windows of a store, with a network's interface."""

    def __init__(self, predictions: Tensor, network: BearingFirst) -> None:
        """Store the predictions, (windows, VALUES, front)."""
        self._predictions, self._next, self.shape = predictions, 0, network.shape

    def eval(self) -> None:
        """Do nothing; there are no weights."""

    def __call__(self, level_db: Tensor, _coherence: Tensor, _steering: Tensor) -> Tensor:
        """Return the predictions for the next windows."""
        first, self._next = self._next, self._next + len(level_db)
        return self._predictions[first : self._next]


@torch.no_grad()
def predict(memory: Memory, columns: Tensor, keep_state: bool) -> Tensor:
    """Predict (windows, VALUES, front) for the validation windows."""
    rows = in_order(SETS['val'][0], len(columns))
    predictions = [
        memory(columns[batch].float(), keep_state).flatten(0, 1) for batch in rows.split(16)
    ]
    return torch.cat(predictions)[rows.flatten().argsort()]


def main(model: Path, work: Path, seeds: list[int]) -> None:
    """Print one row for the model, and two per seed."""
    network = read(model)
    (train, train_columns), (val, val_columns) = (
        windows_and_columns(name, network, work) for name in SETS
    )
    rows = np.sort(in_order(SETS['val'][0], len(val))[:, PAST:].flatten().numpy())

    def line(name: str, memory: Memory, keep_state: bool) -> None:
        found = found_in(StoredPredictions(predict(memory, val_columns, keep_state), network), val)
        scores = scores_of([found[row] for row in rows], Part(val, rows))
        print(f'| {name} |', ' | '.join(f'{scores[word]:.3f}' for word in WORDS), '|', flush=True)

    print(f'| {len(rows)} windows |', ' | '.join(WORDS), '|')
    line(str(model), Memory(network).eval(), False)
    for seed in seeds:
        for keep_state in (False, True):
            memory = trained(network, train, train_columns, keep_state, seed)
            line(f'seed {seed}, {"with" if keep_state else "without"}', memory, keep_state)


if __name__ == '__main__':
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), list(map(int, sys.argv[3:])) or [0, 1, 2])
