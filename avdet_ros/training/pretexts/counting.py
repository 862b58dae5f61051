"""Counting: a student learns how many vehicles there are before it learns where they are.

MM-DistillNet, section 3.2: cross-entropy on the number of labelled boxes; the distillation then
starts from the encoder's weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.pretexts.base import Pretext
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS


class Encoder(nn.Module):
    """A student's encoder as a module that shares the student's weights."""

    def __init__(self, student: StudentAdapter) -> None:
        super().__init__()
        # Not a sub-module: the weights stay the student's and are saved only once.
        object.__setattr__(self, 'student', student)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Encode (B, ...) features to (B, channels, ...)."""
        return self.student.encode(spectrogram)


class VehicleCounter(nn.Module):
    """Classifier of the number of vehicles (MM-DistillNet, section 3.2).

    An encoder's deepest features are averaged over positions and classified by an MLP with
    cross-entropy. The encoder is the student's own, so its weights carry over unchanged.

    Args:
        encoder: maps the input to (B, channels, ...) features.
        channels: channels of these features.
        most: highest class, which includes all larger counts; 13 in the paper's data.
    """

    def __init__(self, encoder: nn.Module, channels: int, most: int = 13) -> None:
        super().__init__()
        self.encoder = encoder
        self.most = most
        self.classify = nn.Sequential(
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(channels, most + 1),
        )

    def forward(self, window: Tensor) -> Tensor:
        """Return (B, most + 1) logits of the counts 0 to ``most``."""
        return self.classify(self.encoder(window).flatten(2).mean(dim=2))

    def loss(self, window: Tensor, counts: Tensor) -> Tensor:
        """Cross-entropy against (B,) int64 counts of labelled boxes."""
        return functional.cross_entropy(self(window), counts.clamp(max=self.most))


@PRETEXTS.register
class Counting(Pretext):
    """Count the labelled vehicles of a window; mixed windows have those of both."""

    name = 'counting'

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        self.counter = VehicleCounter(Encoder(student), channels, recipe.pretext.most)
        self._sums = np.zeros(3)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of the counts."""
        return self.counter.loss(batch.spectrogram, box_counts(batch))

    def on_validation_epoch_start(self) -> None:
        """Reset the sums of loss and hits."""
        self._sums = np.zeros(3)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add loss and hits of one batch."""
        true, count = box_counts(batch).clamp(max=self.counter.most), len(batch)
        logits = self.counter(batch.spectrogram)
        loss = functional.cross_entropy(logits, true)
        hits = (logits.argmax(dim=1) == true).sum()
        self._sums += [float(loss) * count, float(hits), count]

    def validation_values(self) -> dict[str, float]:
        """``loss``, and ``accuracy``: the share of windows that were counted correctly."""
        loss, hits, count = self._sums
        return {'loss': loss / count, 'accuracy': hits / count}

    def result(self, val: WindowDataset) -> dict[str, Any]:
        """Add ``majority``, the accuracy of always predicting the most common count."""
        numbers = [min(len(box), self.counter.most) for box in val.boxes]
        most_common = max(numbers.count(number) for number in set(numbers))
        return {**self.validation_values(), 'majority': most_common / len(numbers)}

    def describe(self, result: dict[str, Any]) -> str:
        """Report the accuracy, and that of predicting the most common count."""
        return (
            f'counting: {result["accuracy"]:.0%} of the validation windows right, '
            f'{result["majority"]:.0%} by always predicting the most common number'
        )


def box_counts(batch: Batch) -> Tensor:
    """(B,) int64 number of the labelled boxes."""
    return torch.tensor([len(box) for box in batch.boxes], device=batch.spectrogram.device)
