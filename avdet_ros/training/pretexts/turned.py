"""By how much are the boxes turned against the sound?

Finer than `swapped`: boxes are moved round by one of `TURNS` columns of the image, what leaves it
on one side coming in on the other, so that no border tells. With v_c the occupancy of column c
after that and p_c what one linear layer makes of the encoding there, less its mean over the batch,

    logit_k = s * sum over c of p_c v_(c + k),   L = cross-entropy over the turns k

It is the boxes that turn, not the steered response: only some students have one. Sound alone does
not know the turn; boxes alone would, as most stand ahead, but a p that is the same for every
sound is its own mean, and gives nothing. Windows without a box, or with vehicles everywhere, teach
nothing and are left out. Needs the boxes of labels, no features of teachers; mirroring as
augmentation is off.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.training.boxes.columns import audio_columns, column_occupancy
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.pretexts.base import MeasuredPretext, without
from avdet_ros.training.recipes.parts import Augmentation
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS

TURNS = (-20, -14, -8, -2, 4, 10, 16, 22)
"""Columns, evenly round the image's 48: about 2 degrees each."""

LEAST_CHANGE = 2.0
"""Columns by which the least turn must change the boxes."""


@PRETEXTS.register
class Turned(MeasuredPretext):
    """Boxes moved round by one of eight turns: by which one?"""

    name = 'turned'

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        self.heard = nn.Conv1d(channels, 1, 1)
        self.scale = nn.Parameter(torch.tensor(0.5))

    @property
    def augmentation(self) -> Augmentation:
        """Left and right stay, and so do the levels of single channels."""
        return without(self.recipe.augmentation, 'mirror', 'channel_gain_db', 'drop_channel')

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``; ``usable``: the share of windows whose boxes turn, ``right`` of them."""
        how = {'generator': self.chance, 'device': batch.spectrogram.device}
        seen = column_occupancy(batch.boxes)
        which = torch.randint(len(TURNS), (len(batch),), **how)
        shown = turned(seen)[torch.arange(len(batch)), which]
        usable = changes(seen) >= LEAST_CHANGE
        logits = self.logits(self.student.encode(batch.spectrogram), shown)
        each = functional.cross_entropy(logits, which, reduction='none')
        right = (logits.argmax(dim=1) == which) & usable
        return {
            'loss': (each * usable).sum() / usable.sum().clamp(min=1),
            'right': right.float().mean(),
            'usable': usable.float().mean(),
        }

    def logits(self, encoded: Tensor, shown: Tensor) -> Tensor:
        """(B, turns) of encodings and (B, COLUMNS) occupancies that were turned."""
        heard = self.heard(audio_columns(encoded))[:, 0]
        own = heard - heard.mean(dim=0)
        back = torch.stack([shown.roll(-turn, dims=1) for turn in TURNS], dim=1)
        return self.scale * (own[:, None] * back).sum(dim=2)

    def describe(self, result: dict[str, Any]) -> str:
        """How often it is right, of those that can be told."""
        right = result['right'] / max(result['usable'], 1e-9)
        return (
            f'turned: {right:.0%} right of the {result["usable"]:.0%} of the validation windows '
            f'whose boxes turn, by chance {1 / len(TURNS):.0%}'
        )


def turned(seen: Tensor) -> Tensor:
    """(B, turns, COLUMNS) occupancies (B, COLUMNS) moved round by each of `TURNS`."""
    return torch.stack([seen.roll(turn, dims=1) for turn in TURNS], dim=1)


def changes(seen: Tensor) -> Tensor:
    """(B,) columns by which the nearest two of `TURNS` of (B, COLUMNS) occupancies differ."""
    step = TURNS[1] - TURNS[0]
    return (seen - seen.roll(step, dims=1)).abs().sum(dim=1) / 2
