"""Augmentation: changes to a window that keep its labels valid.

All functions work on a whole batch of features and draw from a given generator, so that a batch is
reproducible. Batches are mirrored, mixed (the sum of two sounds with the union of their labels),
made louder or quieter, and lose bands, a stretch of time (D. Park et al., "SpecAugment", arXiv
1904.08779) or a microphone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Cells, Mirror, mirror_batch
from avdet_ros.training.recipes.parts import Augmentation

DEAD_DB = -100.0
"""Level of a dead microphone, `features.POWER_FLOOR`."""


def augment(
    batch: Batch,
    settings: Augmentation,
    mirror: Mirror | None,
    generator: torch.Generator,
    cells: Cells,
) -> Batch:
    """Augment a batch.

    Args:
        batch: not modified.
        settings: augmentation settings.
        mirror: mirror of the rig; needed if ``settings.mirror``.
        generator: random generator.
        cells: cells of the teachers' maps, see `mirror_batch`.

    Returns:
        The augmented copy.
    """
    chance = {'generator': generator, 'device': batch.spectrogram.device}
    if settings.mirror:
        if mirror is None:
            raise ValueError('mirror: expected that of the rig, found None')
        chosen = torch.rand(len(batch), **chance) < 0.5
        batch = mirror_batch(batch, chosen, mirror, cells)
    if settings.mix > 0:
        batch = mix_batch(batch, *drawn_pairs(len(batch), settings.mix, **chance))
    spectrogram = change_levels(
        batch.spectrogram, settings.gain_db, settings.channel_gain_db, generator
    )
    if settings.mask_bands > 0:
        spectrogram = mask_bands(spectrogram, settings.mask_bands, generator)
    if settings.mask_frames > 0:
        spectrogram = mask_frames(spectrogram, settings.mask_frames, generator)
    if settings.drop_channel > 0:
        spectrogram = drop_channels(spectrogram, settings.drop_channel, generator)
    return replace(batch, spectrogram=spectrogram)


def generator_at(place: tuple[int, ...], device: torch.device) -> torch.Generator:
    """Make a generator seeded by a position in a run alone: seed, epoch, batch and process."""
    generator = torch.Generator(device)
    generator.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
    return generator


def change_levels(
    spectrogram: Tensor, gain_db: float, channel_gain_db: float, generator: torch.Generator
) -> Tensor:
    """Change the level of windows, and slightly the level of each microphone.

    Args:
        spectrogram: (B, 8 or 32, n_mels, T).
        gain_db: overall gain, uniform within plus and minus this.
        channel_gain_db: standard deviation of each microphone's gain.
        generator: random generator.
    """
    chance = {'generator': generator, 'device': spectrogram.device}
    count = len(spectrogram)
    overall = (torch.rand(count, 1, **chance) * 2 - 1) * gain_db
    each = torch.randn(count, MICROPHONES, **chance) * channel_gain_db
    changed = spectrogram.clone()
    changed[:, :MICROPHONES] += (overall + each)[:, :, None, None]
    return changed


def mix_batch(batch: Batch, chosen: Tensor, partner: Tensor) -> Batch:
    """Add another window's sound: union of the boxes, larger of the attention maps.

    Args:
        batch: not modified.
        chosen: (K,) windows to change.
        partner: (K,) windows to add to them.
    """
    if len(chosen) == 0:
        return batch
    spectrogram, boxes = batch.spectrogram.clone(), list(batch.boxes)
    open_areas = list(batch.open_areas)
    spectrogram[chosen] = added(batch.spectrogram[chosen], batch.spectrogram[partner])
    for index, other in zip(chosen.tolist(), partner.tolist(), strict=True):
        boxes[index] = torch.cat([batch.boxes[index], batch.boxes[other]])
        if open_areas:
            open_areas[index] = torch.cat([batch.open_areas[index], batch.open_areas[other]])

    def together(maps: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        if maps.numel() == 0:
            return maps
        result = maps.clone()
        result[chosen] = join(maps[chosen], maps[partner])
        return result

    return replace(
        batch,
        spectrogram=spectrogram,
        boxes=boxes,
        open_areas=open_areas,
        attention=[together(level, torch.maximum) for level in batch.attention],
        embedding=together(batch.embedding, lambda a, b: (a + b) / 2),
        teacher_features=together(batch.teacher_features, lambda a, b: (a + b) / 2),
    )


def drawn_pairs(
    count: int, part: float, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Draw the windows of a batch to mix, and another window as partner for each.

    Args:
        count: windows in the batch; a single one has no partner.
        part: share of them to choose.
        generator: random generator.
        device: device of the generator.

    Returns:
        (N,) int64 indices of the chosen windows, and of each one's partner.
    """
    chance = {'generator': generator, 'device': device}
    chosen = torch.nonzero(torch.rand(count, **chance) < part).flatten()
    if count < 2:
        return chosen[:0], chosen[:0]
    return chosen, (chosen + torch.randint(1, count, (len(chosen),), **chance)) % count


def added(first: Tensor, second: Tensor) -> Tensor:
    """Add two windows' sounds, which are incoherent: powers and cross-spectra add.

    With S_ij = C_ij sqrt(P_i P_j) the sum has S = S1 + S2 and P = P1 + P2. Averages over pooled
    frames are treated as single frames.

    Args:
        first: (B, 8 or 32, n_mels, T) features.
        second: the same shape.
    """
    powers = [torch.pow(10, each[:, :MICROPHONES] / 10) for each in (first, second)]
    total = powers[0] + powers[1]
    levels = 10 * torch.log10(total)
    if first.shape[1] == MICROPHONES:
        return levels
    cross = sum(
        each[:, MICROPHONES:] * _pair_scale(power)
        for each, power in zip((first, second), powers, strict=True)
    )
    return torch.cat([levels, cross / _pair_scale(total)], dim=1)


def mask_bands(spectrogram: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Mask neighbouring mel bands: levels become the window's average, coherences zero.

    Args:
        spectrogram: (B, 8 or 32, n_mels, T).
        most: largest number of bands.
        generator: random generator.
    """
    count, _, bands, _ = spectrogram.shape
    chance = {'generator': generator, 'device': spectrogram.device}
    width = torch.randint(0, most + 1, (count,), **chance)
    first = torch.randint(0, bands, (count,), **chance)
    band = torch.arange(bands, device=spectrogram.device)[None]
    hidden = (band >= first[:, None]) & (band < (first + width)[:, None])
    masked = hidden[:, None, :, None]
    levels = spectrogram[:, :MICROPHONES]
    levels = torch.where(masked, levels.mean(dim=(2, 3), keepdim=True), levels)
    return torch.cat([levels, spectrogram[:, MICROPHONES:] * ~masked], dim=1)


def mask_frames(spectrogram: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Mask a stretch of time: levels become each band's average over time, coherences zero.

    Args:
        spectrogram: (B, 8 or 32, n_mels, T).
        most: largest share of the frames.
        generator: random generator.
    """
    count, _, _, frames = spectrogram.shape
    chance = {'generator': generator, 'device': spectrogram.device}
    width = (torch.rand(count, **chance) * most * frames).round()
    first = (torch.rand(count, **chance) * (frames - width + 1)).floor()
    frame = torch.arange(frames, device=spectrogram.device)[None]
    hidden = (frame >= first[:, None]) & (frame < (first + width)[:, None])
    masked = hidden[:, None, None, :]
    levels = spectrogram[:, :MICROPHONES]
    levels = torch.where(masked, levels.mean(dim=3, keepdim=True), levels)
    return torch.cat([levels, spectrogram[:, MICROPHONES:] * ~masked], dim=1)


def drop_channels(spectrogram: Tensor, part: float, generator: torch.Generator) -> Tensor:
    """Silence one microphone and its coherences in some windows.

    Args:
        spectrogram: (B, 8 or 32, n_mels, T).
        part: share of the windows.
        generator: random generator.
    """
    count = len(spectrogram)
    chance = {'generator': generator, 'device': spectrogram.device}
    dropped = torch.rand(count, **chance) < part
    microphone = torch.randint(0, MICROPHONES, (count,), **chance)
    dead = dropped[:, None] & (
        microphone[:, None] == torch.arange(MICROPHONES, device=spectrogram.device)
    )
    levels = torch.where(dead[:, :, None, None], DEAD_DB, spectrogram[:, :MICROPHONES])
    if spectrogram.shape[1] == MICROPHONES:
        return levels
    first, second = torch.tensor(PAIRS, device=spectrogram.device).T
    silent = (dead[:, first] | dead[:, second]).repeat_interleave(2, dim=1)
    return torch.cat([levels, spectrogram[:, MICROPHONES:] * ~silent[:, :, None, None]], dim=1)


def _pair_scale(power: Tensor) -> Tensor:
    first, second = torch.tensor(PAIRS, device=power.device).T
    return (power[:, first] * power[:, second]).sqrt().repeat_interleave(2, dim=1)
