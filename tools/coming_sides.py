"""Train a model to predict the side on which a vehicle is about to come out from a corner.

    python tools/coming_sides.py MODEL TRAIN VAL

TRAIN and VAL are sets of ``avdet sim windows --arrays drawn --world corners``. They have labels of
the sides on which a vehicle is coming (`avdet_ros.simulation.blind_corners`). The layers of MODEL
that compute its columns are copied and trained, together with a small head that pools all columns
of one side and of the other; the layers before them are frozen. After each pass, the scores by
side are the area under the ROC curve, and the share of coming vehicles reported at a false alarm
in one of ten other windows. For windows with a vehicle on one side only, the score is how often
that side is the likelier one.
"""

from __future__ import annotations

import copy
from pathlib import Path
import sys

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.evaluation.sounding.ranking import roc_auc
from avdet_ros.process import SignalFlag
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.fitting.frozen_parts import frozen_parts
from avdet_ros.training.any_array.fitting.start_weights import read_start_weights
from avdet_ros.training.any_array.windows.augmentation import Augmentation
from avdet_ros.training.any_array.windows.drawn_steering import SteeringTable
from avdet_ros.training.any_array.windows.shards import front_end_of
from avdet_ros.training.any_array.windows.store import ArrayStore

PASSES, BATCH, RATE = 4, 128, 1e-3
CHANNELS = 96
FALSE_ALARMS = 0.1

Windows = tuple[Tensor, Tensor]
"""Maps (N, channels, directions) float16, and labels (N, 2) of vehicles coming, -1 if open."""


class Sides(nn.Module):
    """Predicts logits of a vehicle coming on the left and on the right."""

    def __init__(self, network: BearingFirst) -> None:
        super().__init__()
        self.to_columns = copy.deepcopy(network.to_columns)
        self.context = copy.deepcopy(network.context)
        deep = network.shape.deep
        self.attention = nn.Sequential(nn.Conv1d(deep, 64, 1), nn.ReLU(), nn.Conv1d(64, 1, 1))
        self.value = nn.Conv1d(deep, CHANNELS, 1)
        self.head = nn.Sequential(
            nn.Linear(4 * CHANNELS, CHANNELS), nn.ReLU(), nn.Dropout(0.2), nn.Linear(CHANNELS, 1)
        )
        azimuth_deg = torch.from_numpy((azimuth_grid() + 180) % 360 - 180)
        self.register_buffer('left', azimuth_deg > 0)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, channels, directions) to (B, 2)."""
        channels = self.to_columns[0].in_channels
        columns = self.to_columns(maps[:, :channels]) + maps[:, channels:]
        for layer in self.context:
            columns = layer(columns)
        value, attention = functional.relu(self.value(columns)), self.attention(columns)
        left, right = (
            torch.cat([_mean(value, attention, side), value[..., side].amax(dim=-1)], dim=1)
            for side in (self.left, ~self.left)
        )
        sides_in_turn = torch.cat([left, right], dim=1), torch.cat([right, left], dim=1)
        return torch.cat([self.head(both_sides) for both_sides in sides_in_turn], dim=1)


def _mean(value: Tensor, attention: Tensor, side: Tensor) -> Tensor:
    return (torch.softmax(attention[..., side], dim=-1) * value[..., side]).sum(dim=-1)


def read(network: BearingFirst, folder: Path) -> Windows:
    """Compute the maps of a set, and read the labels of its windows."""
    store = ArrayStore(folder, SteeringTable(front_end_of(folder)), azimuth_grid())
    store.refresh()
    shards = sorted(folder.glob('windows_*.npz'))
    coming = np.concatenate([np.load(path, allow_pickle=False)['coming'] for path in shards])
    with SignalFlag() as stop:
        maps = frozen_parts(network, store, Augmentation(), 0, stop, maps=True, bfloat16=True)
    return maps, torch.from_numpy(coming[: len(maps)])


@torch.no_grad()
def scores(network: Sides, windows: Windows) -> list[float]:
    """Return area and share reported, left and right, and how often the likelier side is right."""
    network.eval()
    maps, coming = windows[0], windows[1].numpy()
    logits = torch.cat([network(part.float()) for part in maps.split(256)]).numpy()
    found = []
    for side in (0, 1):
        known = coming[:, side] >= 0
        predicted, true = logits[known, side], coming[known, side] == 1
        limit = np.quantile(predicted[~true], 1 - FALSE_ALARMS)
        found += [roc_auc(predicted, true), float((predicted[true] > limit).mean())]
    alone = (coming.max(axis=1) == 1) & (coming.min(axis=1) == 0)
    likelier = logits[alone, 0] > logits[alone, 1]
    return [*found, float((likelier == (coming[alone, 0] == 1)).mean())]


def main(model: str, train: Path, val: Path) -> None:
    """Train, and print one row per pass."""
    torch.manual_seed(0)
    network = read_start_weights(model).network().eval()
    (maps, coming), validation = read(network, train), read(network, val)
    sides = Sides(network)
    optimiser = torch.optim.AdamW(sides.parameters(), lr=RATE, weight_decay=0.05)
    steps = PASSES * (len(maps) // BATCH)
    falling = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    print(
        '| pass | loss | left: area | reported | right: area | reported | likelier side is right |'
    )
    print('|--:|' + '--:|' * 6)
    for number in range(PASSES):
        sides.train()
        losses = []
        for index in torch.randperm(len(maps)).split(BATCH)[: len(maps) // BATCH]:
            known = (coming[index] >= 0).float()
            target = (coming[index] == 1).float()
            logits = sides(maps[index].float())
            loss = functional.binary_cross_entropy_with_logits(logits, target, reduction='none')
            loss = (loss * known).sum() / known.sum().clamp(min=1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            falling.step()
            losses.append(float(loss.detach()))
        cells = ' | '.join(f'{number:.2f}' for number in scores(sides, validation))
        print(f'| {number + 1} | {np.mean(losses):.3f} | {cells} |', flush=True)


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], *map(Path, sys.argv[2:]))
