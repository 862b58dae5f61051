"""Pretexts that detect whether sound and boxes are mirrored, or by how much boxes are shifted.

K. Yang et al., "Telling left from right: learning spatial correspondence of sight and sound",
arXiv 2006.06175, with boxes in place of the video and eight microphones in place of two. Sound and
boxes are mirrored independently with probability 1/2; the label is whether exactly one of them
was. With v_c the occupancy of column c of the image and p_c the output of a linear layer on the
encoding there,

    logit = s * sum over c of p_c (v_c - v_mirror(c)),   L = cross-entropy

The logit is odd in v: neither sound alone nor boxes alone carry the label, so an array with
asymmetric errors does not reveal it. Windows with symmetric boxes carry no information and are
left out.

`Turned` is a finer version. Boxes are shifted cyclically by one of `TURNS` columns of the image,
so that no border reveals the shift. With v_c the shifted occupancy, and p_c less its mean over the
batch,

    logit_k = s * sum over c of p_c v_(c + k),   L = cross-entropy over the turns k

The boxes are shifted and not the steered response, because only some students have one. The boxes
alone would reveal the shift, since most vehicles are ahead, but a p that is the same for every
sound is removed with the mean. Windows without a box, or with vehicles everywhere, are left out.

Both need the labelled boxes, but no features of teachers; mirroring as augmentation is off.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.training.boxes.columns import audio_columns, column_occupancy
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror, mirror_batch
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.pretexts.base import MeasuredPretext, without
from avdet_ros.training.recipes.parts import Augmentation
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS

LEAST_ASYMMETRY = 2.0
"""Columns by which the boxes must differ from their mirror image, or from the next turn."""

TURNS = (-20, -14, -8, -2, 4, 10, 16, 22)
"""Cyclic shifts in columns, spread evenly over the image's 48 of about 2 degrees each."""


class HeardColumns(MeasuredPretext):
    """Common part of both pretexts: one number per image column from the encoding."""

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        self.heard = nn.Conv1d(channels, 1, 1)
        self.scale = nn.Parameter(torch.tensor(0.5))

    @property
    def augmentation(self) -> Augmentation:
        """No mirroring, and no gain or loss of single microphones."""
        return without(self.recipe.augmentation, 'mirror', 'channel_gain_db', 'drop_channel')


@PRETEXTS.register
class Swapped(HeardColumns):
    """Detect whether exactly one of sound and boxes is mirrored."""

    name = 'swapped'
    needs_mirror = True

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``; ``usable``: share of asymmetric windows; ``right``: of correct ones."""
        options = {'generator': self.chance, 'device': batch.spectrogram.device}
        turned, exchanged = (torch.rand(len(batch), **options) < 0.5 for _ in range(2))
        if self.mirror is None:
            raise ValueError('mirror: expected that of the rig, found None')
        sound = mirror_batch(batch, turned, self.mirror, self.student.cells).spectrogram
        seen = column_occupancy(batch.boxes)
        seen = torch.where(exchanged[:, None], seen.flip(1), seen)
        logit = self.logits(self.student.encode(sound), seen)
        return judged(logit, (turned ^ exchanged).float(), asymmetry(seen) >= LEAST_ASYMMETRY)

    def logits(self, encoded: Tensor, seen: Tensor) -> Tensor:
        """Return (B,) logits of encodings and (B, COLUMNS) occupancies."""
        audio = self.heard(audio_columns(encoded))[:, 0]
        return self.scale * (audio * (seen - seen.flip(1))).sum(dim=1)

    def describe(self, result: dict[str, Any]) -> str:
        """Report the accuracy on the usable windows."""
        right = result['right'] / max(result['usable'], 1e-9)
        return (
            f'swapped: {right:.0%} right of the {result["usable"]:.0%} of the validation windows '
            'whose boxes are not symmetric'
        )


@PRETEXTS.register
class Turned(HeardColumns):
    """Predict by which of eight turns the boxes were shifted; see the module."""

    name = 'turned'

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``; ``usable``: share of windows that turns change; ``right``: of correct ones."""
        options = {'generator': self.chance, 'device': batch.spectrogram.device}
        seen = column_occupancy(batch.boxes)
        turn = torch.randint(len(TURNS), (len(batch),), **options)
        shown = turned(seen)[torch.arange(len(batch)), turn]
        usable = changes(seen) >= LEAST_ASYMMETRY
        logits = self.logits(self.student.encode(batch.spectrogram), shown)
        each = functional.cross_entropy(logits, turn, reduction='none')
        return shares(each, logits.argmax(dim=1) == turn, usable)

    def logits(self, encoded: Tensor, shown: Tensor) -> Tensor:
        """Return (B, turns) logits of encodings and (B, COLUMNS) shifted occupancies."""
        audio = self.heard(audio_columns(encoded))[:, 0]
        own = audio - audio.mean(dim=0)
        back = torch.stack([shown.roll(-turn, dims=1) for turn in TURNS], dim=1)
        return self.scale * (own[:, None] * back).sum(dim=2)

    def describe(self, result: dict[str, Any]) -> str:
        """Report the accuracy on the usable windows."""
        right = result['right'] / max(result['usable'], 1e-9)
        return (
            f'turned: {right:.0%} right of the {result["usable"]:.0%} of the validation windows '
            f'whose boxes turn, by chance {1 / len(TURNS):.0%}'
        )


def asymmetry(seen: Tensor) -> Tensor:
    """Return (B,) columns by which (B, COLUMNS) occupancies differ from their mirror images."""
    return (seen - seen.flip(1)).abs().sum(dim=1) / 2


def judged(logit: Tensor, label: Tensor, usable: Tensor) -> dict[str, Tensor]:
    """Compute the cross-entropy over the usable windows, and the shares of a batch.

    Args:
        logit: (B,).
        label: (B,) 0 or 1.
        usable: (B,) bool.
    """
    each = functional.binary_cross_entropy_with_logits(logit, label, reduction='none')
    return shares(each, (logit > 0) == (label > 0.5), usable)


def shares(each: Tensor, right: Tensor, usable: Tensor) -> dict[str, Tensor]:
    """Compute the mean loss of the usable windows, and the shares that are right and usable.

    Args:
        each: (B,) losses.
        right: (B,) bool, correct predictions.
        usable: (B,) bool.
    """
    return {
        'loss': (each * usable).sum() / usable.sum().clamp(min=1),
        'right': (right & usable).float().mean(),
        'usable': usable.float().mean(),
    }


def turned(seen: Tensor) -> Tensor:
    """Shift (B, COLUMNS) occupancies cyclically by each of `TURNS`: (B, turns, COLUMNS)."""
    return torch.stack([seen.roll(turn, dims=1) for turn in TURNS], dim=1)


def changes(seen: Tensor) -> Tensor:
    """Return (B,) columns by which (B, COLUMNS) occupancies differ between adjacent `TURNS`."""
    step = TURNS[1] - TURNS[0]
    return (seen - seen.roll(step, dims=1)).abs().sum(dim=1) / 2
