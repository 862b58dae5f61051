"""Pretext that predicts from sound which image columns hold vehicles, and how many there are.

In SoundNet (Y. Aytar et al., arXiv 1610.09001) sound predicts the class posteriors of picture
networks. Here the posterior q_c of column c of 48 is the probability that a labelled box is there
(`boxes.columns`, softened). The posterior r of the number of boxes is four fifths on the labelled
number and a tenth on each neighbour:

    L = mean over c of KL(q_c || p_c) + KL(r || s)

This is distillation with cheaper labels, and serves as the control for the other pretexts. The
task needs the labelled boxes, but no features of teachers.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.training.boxes.columns import audio_columns, column_occupancy
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.pretexts.base import MeasuredPretext
from avdet_ros.training.pretexts.counting import box_counts
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS

SURE = 0.8
"""Probability of the labelled number; the rest is split between its neighbours."""


@PRETEXTS.register
class SoundNetKL(MeasuredPretext):
    """Predict columns and number of vehicles from soft labels."""

    name = 'soundnet_kl'

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        self.column = nn.Conv1d(channels, 1, 1)
        self.number = nn.Linear(channels, recipe.pretext.most + 1)

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``, ``columns`` and ``number``."""
        columns = audio_columns(self.student.encode(batch.spectrogram))
        seen = column_occupancy(batch.boxes)
        terms = {
            'columns': bernoulli_kl(seen, self.column(columns)[:, 0]),
            'number': functional.kl_div(
                self.number(columns.mean(dim=2)).log_softmax(dim=1),
                number_posterior(box_counts(batch), self.recipe.pretext.most),
                reduction='batchmean',
            ),
        }
        return {'loss': terms['columns'] + terms['number'], **terms}

    def describe(self, result: dict[str, Any]) -> str:
        """Report both divergences."""
        return (
            f'soundnet_kl: columns off by {result["columns"]:.3f} nats, the number by '
            f'{result["number"]:.2f}'
        )


def bernoulli_kl(wanted: Tensor, logits: Tensor) -> Tensor:
    """Return the mean of KL(wanted || sigmoid(logits)), nats, at least 0."""
    cross = functional.binary_cross_entropy_with_logits(logits, wanted)
    return cross - functional.binary_cross_entropy(wanted, wanted)


def number_posterior(counts: Tensor, most: int) -> Tensor:
    """Return (B, most + 1) probabilities of the numbers 0 to ``most`` for (B,) counts."""
    counts = counts.clamp(max=most)
    made = SURE * functional.one_hot(counts, most + 1).float()
    for step in (-1, 1):
        neighbour = (counts + step).clamp(0, most)
        made += (1 - SURE) / 2 * functional.one_hot(neighbour, most + 1).float()
    return made
