"""Pretext that rebuilds masked parts: a microphone with its pairs, or time-frequency blocks.

It follows masked autoencoders of sound (P.-Y. Huang et al., "Masked autoencoders that listen",
arXiv 2207.06405) and the rebuilding of one channel from the others, which requires the direction
of the sound (CCSR). With x the features averaged over blocks of 8 bands and 4
frames, M the masked blocks, and y the output of a two-layer head on the encoding of the visible
rest,

    L = mean over M of |y - x| for the levels, in units of 10 dB
      + sum over M of |C| |y - x| / sum over M of |C| for the coherences C

so that coherences count where sound comes from one direction. The task needs no pictures, labels
or teachers. Neighbouring bands are masked together, otherwise rebuilding would be interpolation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.pretexts.base import MeasuredPretext, without
from avdet_ros.training.recipes.parts import Augmentation
from avdet_ros.training.registries import PRETEXTS

BLOCK = (8, 4)
"""Bands and frames that are masked together."""

HIDDEN = 0.75
"""Share of the blocks that is masked in windows with masked blocks."""

HIDDEN_LAYER = 256

UNIT_DB = 10.0
"""Unit in which levels are compared, roughly the deviation between blocks."""


@PRETEXTS.register
class MaskedChannels(MeasuredPretext):
    """Half of the windows lose a microphone, the others three quarters of their blocks."""

    name = 'masked_channels'

    @property
    def augmentation(self) -> Augmentation:
        """No other masking, and no gain of single channels."""
        names = ('mask_bands', 'mask_frames', 'drop_channel', 'channel_gain_db')
        return without(self.recipe.augmentation, *names)

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Build the head for the shape of the windows."""
        super().prepare(train, val)
        example = train.batch([0]).spectrogram
        with torch.no_grad():
            encoded = pooled(self.student.encode(example)).flatten(1).shape[1]
        self.blocks = block_means(example).shape[1:]
        self.rebuild = nn.Sequential(
            nn.Linear(encoded, HIDDEN_LAYER),
            nn.ReLU(),
            nn.Linear(HIDDEN_LAYER, self.blocks.numel()),
        )

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``, ``levels``, ``coherence``, and ``silence``: ``coherence`` of predicting 0."""
        whole = batch.spectrogram
        hidden = draw_hidden(whole, self.chance)
        encoded = pooled(self.student.encode(hide(whole, hidden))).flatten(1)
        rebuilt = self.rebuild(encoded).unflatten(1, self.blocks)
        return rebuilding_terms(rebuilt, whole, hidden)

    def describe(self, result: dict[str, Any]) -> str:
        """Report how well levels and coherences are rebuilt."""
        text = f'masked_channels: hidden levels off by {UNIT_DB * result["levels"]:.1f} dB'
        if result['silence']:
            better = 1 - result['coherence'] / result['silence']
            text += f', hidden coherences {better:.0%} nearer than 0 is'
        return text


def pooled(encoded: Tensor) -> Tensor:
    """Pool an encoding of any size to (B, C, 4, 12), or to (B, C, 12) if it has no rows."""
    if encoded.ndim == 4:
        return functional.adaptive_avg_pool2d(encoded, (4, 12))
    if encoded.ndim == 3:
        return functional.adaptive_avg_pool1d(encoded, 12)
    return encoded


def block_means(features: Tensor) -> Tensor:
    """Average (B, C, n_mels, T) features over blocks to (B, C, bands, frames)."""
    return functional.avg_pool2d(features, BLOCK, ceil_mode=True, count_include_pad=False)


def draw_hidden(features: Tensor, chance: torch.Generator) -> Tensor:
    """Draw the blocks of each channel to mask, (B, C, bands, frames) bool.

    Args:
        features: (B, 8 or 32, n_mels, T).
        chance: random generator.
    """
    options = {'generator': chance, 'device': features.device}
    count, channels = features.shape[:2]
    bands, frames = block_means(features[:1, :1]).shape[2:]
    microphone = torch.randint(0, MICROPHONES, (count,), **options)
    blocks = torch.rand(count, 1, bands, frames, **options) < HIDDEN
    by_microphone = (torch.rand(count, **options) < 0.5)[:, None, None, None]
    dead = channels_of(microphone, channels)[:, :, None, None]
    return torch.where(by_microphone, dead.expand(-1, -1, bands, frames), blocks)


def channels_of(microphone: Tensor, channels: int) -> Tensor:
    """Mark a microphone's level and both parts of all its pairs, (B, C) bool.

    Args:
        microphone: (B,) int64.
        channels: 8 levels, or 32 with the coherences.
    """
    own = microphone[:, None] == torch.arange(MICROPHONES, device=microphone.device)
    if channels == MICROPHONES:
        return own
    first, second = torch.tensor(PAIRS, device=microphone.device).T
    return torch.cat([own, (own[:, first] | own[:, second]).repeat_interleave(2, dim=1)], dim=1)


def hide(features: Tensor, hidden: Tensor) -> Tensor:
    """Mask features: hidden levels become the visible ones' mean, hidden coherences zero."""
    masked = hidden.repeat_interleave(BLOCK[0], 2).repeat_interleave(BLOCK[1], 3)
    masked = masked[:, :, : features.shape[2], : features.shape[3]]
    levels, visible = features[:, :MICROPHONES], ~masked[:, :MICROPHONES]
    total = (levels * visible).sum(dim=(1, 2, 3), keepdim=True)
    mean = total / visible.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    return torch.cat(
        [
            torch.where(visible, levels, mean),
            features[:, MICROPHONES:] * ~masked[:, MICROPHONES:],
        ],
        dim=1,
    )


def rebuilding_terms(rebuilt: Tensor, whole: Tensor, hidden: Tensor) -> dict[str, Tensor]:
    """Compute the loss and its parts, see the module.

    Args:
        rebuilt: (B, C, bands, frames): levels in `UNIT_DB` above the window's mean, coherences.
        whole: (B, C, n_mels, T) features.
        hidden: (B, C, bands, frames) bool.
    """
    true = block_means(whole)
    levels = true[:, :MICROPHONES]
    levels = (levels - levels.mean(dim=(1, 2, 3), keepdim=True)) / UNIT_DB
    masked = hidden[:, :MICROPHONES]
    off = (rebuilt[:, :MICROPHONES] - levels).abs()
    terms = {'levels': (off * masked).sum() / masked.sum().clamp(min=1)}
    terms['coherence'] = terms['silence'] = off.new_zeros(())
    if whole.shape[1] > MICROPHONES:
        pairs = true[:, MICROPHONES:].unflatten(1, (-1, 2))
        weight = pairs.norm(dim=2, keepdim=True) * hidden[:, MICROPHONES:].unflatten(1, (-1, 2))
        total = weight.expand_as(pairs).sum().clamp(min=1e-6)
        predicted = rebuilt[:, MICROPHONES:].unflatten(1, (-1, 2))
        terms['coherence'] = (weight * (predicted - pairs).abs()).sum() / total
        terms['silence'] = (weight * pairs.abs()).sum() / total
    return {'loss': terms['levels'] + terms['coherence'], **terms}
