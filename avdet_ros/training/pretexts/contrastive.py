"""Contrastive pretext on sound alone: two views of one window agree, other windows differ.

SimCLR (T. Chen et al., arXiv 2002.05709) with views that preserve every direction, unlike those of
BYOL-A (D. Niizumi et al., arXiv 2103.06695). With unit vectors a_i and b_i of the two views,
temperature T and negatives N(i):

    L = mean over i of -log( exp(a_i b_i / T) / (exp(a_i b_i / T) + sum_N(i) exp(a_i b_j / T)) )

averaged with the same from b to a (`info_nce`; xID, synchronisation and alignment use it too). A
window of the same drive within 4 s has the same vehicles and is no negative; half of a batch comes
from one drive. The task needs no pictures, labels or teachers. Augmentations that would change
directions are ruled out: gain or phase of single microphones, dropping a microphone but not its
pairs, stretching frequency.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.rig import MICROPHONES
from avdet_ros.training.data.augment import added, mask_bands
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.pretexts.base import MeasuredPretext, negatives, without
from avdet_ros.training.pretexts.masked_channels import pooled
from avdet_ros.training.recipes.parts import Augmentation
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS

TEMPERATURE = 0.1
DIMENSIONS = 128
GAIN_DB = 6.0
BAND_GAIN_DB = 3.0
MASKED_BANDS = 12
SHIFT_S = 0.1
MIXED_DB = -10.0


class Projection(nn.Module):
    """Projection head from encodings of any size to unit vectors; discarded after the pretext."""

    def __init__(self, channels: int, dimensions: int = DIMENSIONS) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LazyLinear(256), nn.ReLU(), nn.Linear(256, dimensions, bias=False)
        )

    def forward(self, encoded: Tensor) -> Tensor:
        """(B, C, ...) to (B, dimensions)."""
        return functional.normalize(self.layers(pooled(encoded).flatten(1)), dim=1)

    @torch.no_grad()
    def find_size(self, student: StudentAdapter, windows: WindowDataset) -> None:
        """Initialise the first layer with the size of the student's encoding of a window."""
        self(student.encode(windows.batch([0]).spectrogram))


@PRETEXTS.register
class Contrastive(MeasuredPretext):
    """Recognise a window in its batch after gain, shift and another window mixed in."""

    name = 'contrastive'
    compares = True

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        self.project = Projection(channels)

    @property
    def augmentation(self) -> Augmentation:
        """Mirroring alone, the same for both views; `view` draws the rest for each view."""
        names = ('mix', 'gain_db', 'channel_gain_db', 'mask_bands', 'mask_frames', 'drop_channel')
        return without(self.recipe.augmentation, *names)

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Initialise the projection."""
        super().prepare(train, val)
        self.project.find_size(self.student, train)

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``, ``found`` and ``spread``, see `agreement`."""
        views = [view(batch.spectrogram, self.chance) for _ in range(2)]
        first, second = self.project(self.student.encode(torch.cat(views))).chunk(2)
        return agreement(first, second, negatives(batch, first.device), TEMPERATURE)

    def describe(self, result: dict[str, Any]) -> str:
        """Report how often a view is found in its batch."""
        return described(self.name, result)


def described(name: str, result: dict[str, Any]) -> str:
    """Summarise the result of `agreement` in a sentence."""
    return (
        f'{name}: {result["found"]:.0%} of the validation windows found again in their batch, '
        f'vectors spread over {result["spread"]:.0%} of what they could'
    )


def view(features: Tensor, chance: torch.Generator) -> Tensor:
    """Make another view of the same scene, with all directions unchanged.

    Args:
        features: (B, 8 or 32, n_mels, T), windows of a second.
        chance: random generator.
    """
    options = {'generator': chance, 'device': features.device}
    count, _, bands, frames = features.shape
    if count > 1:
        other = features.roll(int(torch.randint(1, count, (1,), **options)), 0).clone()
        other[:, :MICROPHONES] += MIXED_DB
        mixed = (torch.rand(count, **options) < 0.5)[:, None, None, None]
        features = torch.where(mixed, added(features, other), features)
    most = max(1, round(SHIFT_S * frames))
    shift = torch.randint(-most, most + 1, (count, 1), **options)
    place = (torch.arange(frames, device=features.device) + shift).clamp(0, frames - 1)
    features = features.gather(3, place[:, None, None].expand_as(features))
    overall = (torch.rand(count, 1, **options) * 2 - 1) * GAIN_DB
    band_gains_db = torch.randn(count, 1, 6, **options) * BAND_GAIN_DB
    tone = functional.interpolate(band_gains_db, bands, mode='linear', align_corners=True)[:, 0]
    levels = features[:, :MICROPHONES] + (overall + tone)[:, None, :, None]
    features = torch.cat([levels, features[:, MICROPHONES:]], dim=1)
    return mask_bands(features, min(MASKED_BANDS, bands), chance)


def info_nce(similarity: Tensor, allowed: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean of -log softmax of the diagonal over itself and the allowed negatives.

    Args:
        similarity: (B, B), divided by the temperature; pairs are on the diagonal.
        allowed: (B, B) bool, negatives.
        weight: (B,) weights of the pairs, None for equal ones.
    """
    kept = allowed | torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    masked = similarity.masked_fill(~kept, -torch.inf)
    each = masked.logsumexp(dim=1) - similarity.diagonal()
    if weight is None:
        return each.mean()
    return (weight * each).sum() / weight.sum().clamp(min=1e-6)


def agreement(
    first: Tensor, second: Tensor, allowed: Tensor, temperature: float
) -> dict[str, Tensor]:
    """Compute the loss in both directions, with measures of its progress.

    Args:
        first: (B, D) unit vectors.
        second: (B, D) unit vectors of their partners.
        allowed: (B, B) bool, negatives.
        temperature: temperature of the softmax.

    Returns:
        ``loss``; ``found``: the share of windows that are nearest to their own partner;
        ``spread``: the deviation of the vectors, 1 if they fill the sphere, 0 if all collapsed.
    """
    similarity = first @ second.T / temperature
    loss = (info_nce(similarity, allowed) + info_nce(similarity.T, allowed.T)) / 2
    hardest = similarity.masked_fill(~allowed, -torch.inf).amax(dim=1)
    spread = (1 - first.mean(dim=0).square().sum()).clamp(min=0).sqrt()
    return {
        'loss': loss,
        'found': (similarity.diagonal() > hardest).float().mean(),
        'spread': spread.detach(),
    }
