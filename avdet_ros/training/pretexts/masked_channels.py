"""Rebuilding what is hidden: a microphone with all its pairs, or blocks of time and frequency.

After masked autoencoders of sound (P.-Y. Huang et al., "Masked autoencoders that listen", arXiv
2207.06405) and the rebuilding of one channel from the others, in which direction is the only way
(CCSR). With x the features averaged over blocks of 8 bands and 4 frames, M the hidden blocks,
and y what a head of two layers makes of the encoding of what is left,

    L = mean over M of |y - x| for the levels, in units of 10 dB
      + sum over M of |C| |y - x| / sum over M of |C| for the coherences C

so that coherences count where there is sound from one direction. Needs no pictures, no labels and
no teachers. The neighbours of a hidden band are hidden with it, else rebuilding is interpolating.
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
"""Bands and frames that are hidden together."""

HIDDEN = 0.75
"""Part of the blocks that is hidden, where blocks are."""

HIDDEN_LAYER = 256

UNIT_DB = 10.0
"""Levels are compared in this unit, about the deviation between blocks."""


@PRETEXTS.register
class MaskedChannels(MeasuredPretext):
    """Half of the windows lose a microphone, the others three quarters of their blocks."""

    name = 'masked_channels'

    @property
    def augmentation(self) -> Augmentation:
        """Nothing else is hidden, and levels of single channels stay true."""
        names = ('mask_bands', 'mask_frames', 'drop_channel', 'channel_gain_db')
        return without(self.recipe.augmentation, *names)

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Make the head for the shape of the windows."""
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
        """``loss``, ``levels``, ``coherence``, and ``silence``: the coherence of predicting 0."""
        whole = batch.spectrogram
        hidden = draw_hidden(whole, self.chance)
        encoded = pooled(self.student.encode(hide(whole, hidden))).flatten(1)
        rebuilt = self.rebuild(encoded).unflatten(1, self.blocks)
        return rebuilding_terms(rebuilt, whole, hidden)

    def describe(self, result: dict[str, Any]) -> str:
        """How well directions are rebuilt."""
        text = f'masked_channels: hidden levels off by {UNIT_DB * result["levels"]:.1f} dB'
        if result['silence']:
            better = 1 - result['coherence'] / result['silence']
            text += f', hidden coherences {better:.0%} nearer than 0 is'
        return text


def pooled(encoded: Tensor) -> Tensor:
    """An encoding of any size as (B, C, 4, 12), or (B, C, 12) without rows."""
    if encoded.ndim == 4:
        return functional.adaptive_avg_pool2d(encoded, (4, 12))
    if encoded.ndim == 3:
        return functional.adaptive_avg_pool1d(encoded, 12)
    return encoded


def block_means(features: Tensor) -> Tensor:
    """(B, C, n_mels, T) features as means of blocks (B, C, bands, frames)."""
    return functional.avg_pool2d(features, BLOCK, ceil_mode=True, count_include_pad=False)


def draw_hidden(features: Tensor, chance: torch.Generator) -> Tensor:
    """(B, C, bands, frames) bool: which blocks of which channels are hidden.

    Args:
        features: (B, 8 or 32, n_mels, T).
        chance: where it comes from.
    """
    how = {'generator': chance, 'device': features.device}
    count, channels = features.shape[:2]
    bands, frames = block_means(features[:1, :1]).shape[2:]
    microphone = torch.randint(0, MICROPHONES, (count,), **how)
    blocks = torch.rand(count, 1, bands, frames, **how) < HIDDEN
    by_microphone = (torch.rand(count, **how) < 0.5)[:, None, None, None]
    dead = channels_of(microphone, channels)[:, :, None, None]
    return torch.where(by_microphone, dead.expand(-1, -1, bands, frames), blocks)


def channels_of(microphone: Tensor, channels: int) -> Tensor:
    """(B, C) bool: the level of a microphone and both parts of all its pairs.

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
    """Features whose hidden blocks sound like the window's visible ones and come from nowhere."""
    where = hidden.repeat_interleave(BLOCK[0], 2).repeat_interleave(BLOCK[1], 3)
    where = where[:, :, : features.shape[2], : features.shape[3]]
    levels, seen = features[:, :MICROPHONES], ~where[:, :MICROPHONES]
    total = (levels * seen).sum(dim=(1, 2, 3), keepdim=True)
    mean = total / seen.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    return torch.cat(
        [
            torch.where(seen, levels, mean),
            features[:, MICROPHONES:] * ~where[:, MICROPHONES:],
        ],
        dim=1,
    )


def rebuilding_terms(rebuilt: Tensor, whole: Tensor, hidden: Tensor) -> dict[str, Tensor]:
    """The loss and its parts, see the module.

    Args:
        rebuilt: (B, C, bands, frames): levels in `UNIT_DB` above the window's mean, coherences.
        whole: (B, C, n_mels, T) features.
        hidden: (B, C, bands, frames) bool.
    """
    true = block_means(whole)
    levels = true[:, :MICROPHONES]
    levels = (levels - levels.mean(dim=(1, 2, 3), keepdim=True)) / UNIT_DB
    wanted = hidden[:, :MICROPHONES]
    off = (rebuilt[:, :MICROPHONES] - levels).abs()
    terms = {'levels': (off * wanted).sum() / wanted.sum().clamp(min=1)}
    terms['coherence'] = terms['silence'] = off.new_zeros(())
    if whole.shape[1] > MICROPHONES:
        pairs = true[:, MICROPHONES:].unflatten(1, (-1, 2))
        weight = pairs.norm(dim=2, keepdim=True) * hidden[:, MICROPHONES:].unflatten(1, (-1, 2))
        total = weight.expand_as(pairs).sum().clamp(min=1e-6)
        made = rebuilt[:, MICROPHONES:].unflatten(1, (-1, 2))
        terms['coherence'] = (weight * (made - pairs).abs()).sum() / total
        terms['silence'] = (weight * pairs.abs()).sum() / total
    return {'loss': terms['levels'] + terms['coherence'], **terms}
