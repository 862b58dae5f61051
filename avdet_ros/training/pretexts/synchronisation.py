"""Pretext that decides whether sound and movement in the pictures belong to the same moment.

AVTS (B. Korbar et al., "Cooperative learning of audio and video models from self-supervised
synchronization", arXiv 1807.00230). The movement is given by the labelled boxes of three pictures
around the window, as occupancy of the image's columns. With d the distance between the unit
vectors of sound and movement, y = 1 for the same moment, m = 0.99,

    L = mean of y d^2 + (1 - y) max(m - d, 0)^2

Negatives are movements of another drive (easy) or of the same drive at least 2 s away (hard). The
first half of the epochs has easy ones alone, then a quarter is hard. Steady tyre noise reveals
little about the moment, so the accuracy is also given for windows in which something passes. The
task needs labelled boxes at most 1.25 s apart: one or two pictures per second suffice, single
simulated windows do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.errors import AvdetError
from avdet_ros.training.boxes.columns import COLUMNS, column_occupancy
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.pretexts.base import MeasuredPretext, without
from avdet_ros.training.pretexts.contrastive import DIMENSIONS, Projection
from avdet_ros.training.recipes.parts import Augmentation
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS

MARGIN = 0.99
SHIFT_S = 2.0
"""Minimum distance in time of a hard negative; closer ones overlap."""

GAP_S = 1.25
"""Largest gap between pictures of a movement."""

HARD = 0.25
PASSING = 1.0
"""Minimum difference of the first and last picture's boxes if something passes, columns."""


@PRETEXTS.register
class Synchronisation(MeasuredPretext):
    """Compare sound with movements of the same and of other moments."""

    name = 'synchronisation'
    compares = True

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        self.project = Projection(channels)
        self.seen = nn.Sequential(
            nn.Linear(3 * COLUMNS, 128), nn.ReLU(), nn.Linear(128, DIMENSIONS, bias=False)
        )

    @property
    def augmentation(self) -> Augmentation:
        """No mirroring or mixing, because movements are looked up per window."""
        return without(self.recipe.augmentation, 'mix', 'mirror')

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Compute the movements of all windows.

        Raises:
            AvdetError: too few windows have neighbours in time.
        """
        super().prepare(train, val)
        self.moves = [movements(windows) for windows in (train, val)]
        for use, (known, _) in zip(('training', 'validation'), self.moves, strict=True):
            if known.mean() < 0.25:
                raise AvdetError(
                    f'pretext.task: {self.name}: expected {use} windows at most {GAP_S} s apart '
                    f'in a drive, to see what moves, found {known.mean():.0%} with such neighbours'
                )
        self.project.find_size(self.student, train)

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``; ``known``: windows with a movement and a negative; ``right``: correct ones.

        ``passing`` and ``right_passing``: the same for windows in which something passes.
        """
        device = batch.spectrogram.device
        known, moves = self.moves[0 if self.training else 1]
        known = torch.from_numpy(known[batch.indices]).to(device)
        moved = torch.from_numpy(moves[batch.indices]).to(device)
        sound = self.project(self.student.encode(batch.spectrogram))
        picture = functional.normalize(self.seen(moved.flatten(1)), dim=1)
        other = draw_negatives(batch, known, self._hard_share(), self.chance)
        known = known & (other >= 0)
        near = (sound - picture).norm(dim=1)
        far = (sound - picture[other.clamp(min=0)]).norm(dim=1)
        passing = known & ((moved[:, 0] - moved[:, 2]).abs().sum(dim=1) / 2 >= PASSING)
        right = near < far
        return {
            'loss': contrast(near, far, known),
            'known': known.float().mean(),
            'right': (known & right).float().mean(),
            'passing': passing.float().mean(),
            'right_passing': (passing & right).float().mean(),
        }

    def _hard_share(self) -> float:
        if not self.training:
            return 1.0
        return HARD if 2 * self.current_epoch >= self.recipe.pretext.epochs else 0.0

    def describe(self, result: dict[str, Any]) -> str:
        """Report how often the right moment is nearer."""
        every = result['right'] / max(result['known'], 1e-9)
        passing = result['right_passing'] / max(result['passing'], 1e-9)
        return (
            f'{self.name}: the right moment nearer than another of the drive in {every:.0%} of '
            f'the validation windows, in {passing:.0%} of those in which something passes'
        )


def contrast(near: Tensor, far: Tensor, known: Tensor) -> Tensor:
    """Compute the module's loss over known windows, from (B,) distances and (B,) bool."""
    each = (near.square() + (MARGIN - far).clamp(min=0).square()) / 2
    return (each * known).sum() / known.sum().clamp(min=1)


def movements(windows: WindowDataset) -> tuple[np.ndarray, np.ndarray]:
    """Find the windows that have neighbours in time, and their movements.

    Returns:
        (N,) bool, and (N, 3, COLUMNS) float32 occupancies of the window before, of this one and
        of the one after; 0 without neighbours.
    """
    known = np.zeros(len(windows), bool)
    moved = np.zeros((len(windows), 3, COLUMNS), np.float32)
    if not (windows.drives and windows.times_s):
        return known, moved
    seen = column_occupancy([torch.from_numpy(boxes) for boxes in windows.boxes]).numpy()
    times_s, drives = np.array(windows.times_s), np.array(windows.drives)
    order = np.lexsort([times_s, drives])
    for before, place, after in zip(order, order[1:], order[2:], strict=False):
        if drives[before] != drives[after] or np.ptp(times_s[[before, after]]) > 2 * GAP_S:
            continue
        known[place] = True
        moved[place] = seen[[before, place, after]]
    return known, moved


def draw_negatives(
    batch: Batch, known: Tensor, hard_share: float, chance: torch.Generator
) -> Tensor:
    """Draw the index of another moment's movement for each window, (B,) int64; -1 for none.

    Args:
        batch: a batch with drives and times.
        known: (B,) bool, windows with a movement.
        hard_share: share of windows whose negative is from the same drive; windows without a
            negative of the drawn kind take one of the other kind.
        chance: random generator.
    """
    device = known.device
    options = {'generator': chance, 'device': device}
    _, drive_numbers = np.unique(batch.drives, return_inverse=True)
    number = torch.from_numpy(drive_numbers).to(device)
    time_s = torch.tensor(batch.times_s, device=device)
    same = number[:, None] == number[None]
    hard = same & ((time_s[:, None] - time_s[None]).abs() >= SHIFT_S) & known[None]
    easy = ~same & known[None]
    wants_hard = torch.rand(len(batch), **options) < hard_share
    use_hard = torch.where(wants_hard, hard.any(dim=1), ~easy.any(dim=1))
    allowed = torch.where(use_hard[:, None], hard, easy)
    drawn = torch.rand(allowed.shape, **options).masked_fill(~allowed, -1.0).argmax(dim=1)
    return torch.where(allowed.any(dim=1), drawn, -1)
