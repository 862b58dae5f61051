"""Changes to windows that the teachers' maps have to follow, and SpecAugment on our features.

`augment` knows levels and mirrored windows; here whole lessons are mirrored (microphones, boxes
and attention maps together), mixed (the sum of two sounds with the union of their labels), robbed
of a stretch of time (D. Park et al., "SpecAugment", arXiv 1904.08779) or of a microphone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from avdet_ros.audio.features import PAIRS
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.data.augment import Mirror, augment, drawn_pairs, mirrored
from avdet_ros.training.data.windows import Lesson
from avdet_ros.training.recipes.student import TaughtAugmentation

DEAD_DB = -100.0
"""Level of a microphone that hears nothing, `features.POWER_FLOOR`."""


def augment_lesson(
    lesson: Lesson,
    how: TaughtAugmentation,
    mirror: Mirror | None,
    generator: torch.Generator,
    cells: Callable[[int, int], tuple[int, int]],
) -> Lesson:
    """Change a batch.

    Args:
        lesson: not changed.
        how: what is done.
        mirror: of the rig; needed if ``how.mirror``.
        generator: where chance comes from.
        cells: rows and columns that the picture covers on a level of some size, see
            `PictureArea.cells`; they are what is mirrored.

    Returns:
        The changed copy.
    """
    count = len(lesson.boxes)
    chance = {'generator': generator, 'device': lesson.sound.device}
    if how.mirror:
        chosen = torch.rand(count, **chance) < 0.5
        lesson = mirror_lesson(lesson, chosen, mirror, cells)
    if how.mix > 0:
        lesson = mix_lesson(lesson, *drawn_pairs(count, how.mix, **chance))
    levels = replace(how, mirror=False, mix=0.0)
    sound, boxes = augment(lesson.sound, lesson.boxes, levels, None, generator)
    if how.mask_frames > 0:
        sound = mask_frames(sound, how.mask_frames, generator)
    if how.drop_channel > 0:
        sound = drop_channels(sound, how.drop_channel, generator)
    return replace(lesson, sound=sound, boxes=boxes)


def mirror_lesson(
    lesson: Lesson,
    chosen: Tensor,
    mirror: Mirror,
    cells: Callable[[int, int], tuple[int, int]],
) -> Lesson:
    """Exchange left and right: microphones, boxes, attention maps and features together.

    Args:
        lesson: a batch.
        chosen: (B,) bool, which windows.
        mirror: of the rig.
        cells: see `augment_lesson`.
    """
    where = torch.nonzero(chosen).flatten().tolist()
    if not where:
        return lesson
    channels = lesson.sound.shape[1]
    # With levels alone the first channels of the mirror are all there is to exchange.
    part = Mirror(mirror.channels[:channels], mirror.signs[:channels])
    sound, boxes = lesson.sound.clone(), list(lesson.boxes)
    sound[chosen], flipped = mirrored(sound[chosen], [boxes[index] for index in where], part)
    for index, box in zip(where, flipped, strict=True):
        boxes[index] = box
    return replace(
        lesson,
        sound=sound,
        boxes=boxes,
        attention=[_flipped(level, chosen, cells) for level in lesson.attention],
        features=_flipped(lesson.features, chosen, cells),
    )


def mix_lesson(lesson: Lesson, chosen: Tensor, partner: Tensor) -> Lesson:
    """Add another window's sound: union of the boxes, larger of the attention maps.

    Args:
        lesson: a batch.
        chosen: (K,) windows that are changed.
        partner: (K,) windows that are added.
    """
    if len(chosen) == 0:
        return lesson
    sound, boxes = lesson.sound.clone(), list(lesson.boxes)
    sound[chosen] = added(lesson.sound[chosen], lesson.sound[partner])
    for index, other in zip(chosen.tolist(), partner.tolist(), strict=True):
        boxes[index] = torch.cat([lesson.boxes[index], lesson.boxes[other]])

    def together(maps: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        if maps.numel() == 0:
            return maps
        result = maps.clone()
        result[chosen] = join(maps[chosen], maps[partner])
        return result

    return replace(
        lesson,
        sound=sound,
        boxes=boxes,
        attention=[together(level, torch.maximum) for level in lesson.attention],
        embedding=together(lesson.embedding, lambda a, b: (a + b) / 2),
        features=together(lesson.features, lambda a, b: (a + b) / 2),
    )


def added(first: Tensor, second: Tensor) -> Tensor:
    """The sum of two windows' sounds, which are incoherent: powers and cross-spectra add.

    With S_ij = C_ij sqrt(P_i P_j) the sum has S = S1 + S2 and P = P1 + P2; averages over pooled
    frames are taken for what is averaged.

    Args:
        first: (B, 8 or 32, n_mels, T) features.
        second: the same shape.
    """
    powers = [torch.pow(10, sound[:, :MICROPHONES] / 10) for sound in (first, second)]
    total = powers[0] + powers[1]
    levels = 10 * torch.log10(total)
    if first.shape[1] == MICROPHONES:
        return levels
    cross = sum(
        sound[:, MICROPHONES:] * _pair_scale(power)
        for sound, power in zip((first, second), powers, strict=True)
    )
    return torch.cat([levels, cross / _pair_scale(total)], dim=1)


def mask_frames(sound: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Hide a stretch of time: it sounds as the window does on average and comes from nowhere.

    Args:
        sound: (B, 8 or 32, n_mels, T).
        most: largest part of the frames.
        generator: where chance comes from.
    """
    count, _, _, frames = sound.shape
    chance = {'generator': generator, 'device': sound.device}
    width = (torch.rand(count, **chance) * most * frames).round()
    first = (torch.rand(count, **chance) * (frames - width + 1)).floor()
    frame = torch.arange(frames, device=sound.device)[None]
    hidden = (frame >= first[:, None]) & (frame < (first + width)[:, None])
    where = hidden[:, None, None, :]
    levels = sound[:, :MICROPHONES]
    levels = torch.where(where, levels.mean(dim=3, keepdim=True), levels)
    return torch.cat([levels, sound[:, MICROPHONES:] * ~where], dim=1)


def drop_channels(sound: Tensor, part: float, generator: torch.Generator) -> Tensor:
    """Let one microphone fall silent in some windows, and all coherences with it.

    Args:
        sound: (B, 8 or 32, n_mels, T).
        part: of the windows.
        generator: where chance comes from.
    """
    count = len(sound)
    chance = {'generator': generator, 'device': sound.device}
    dropped = torch.rand(count, **chance) < part
    which = torch.randint(0, MICROPHONES, (count,), **chance)
    dead = dropped[:, None] & (which[:, None] == torch.arange(MICROPHONES, device=sound.device))
    levels = torch.where(dead[:, :, None, None], DEAD_DB, sound[:, :MICROPHONES])
    if sound.shape[1] == MICROPHONES:
        return levels
    first, second = torch.tensor(PAIRS, device=sound.device).T
    deaf = (dead[:, first] | dead[:, second]).repeat_interleave(2, dim=1)
    return torch.cat([levels, sound[:, MICROPHONES:] * ~deaf[:, :, None, None]], dim=1)


def _flipped(maps: Tensor, chosen: Tensor, cells: Callable[[int, int], tuple[int, int]]) -> Tensor:
    if maps.numel() == 0:
        return maps
    _, columns = cells(*maps.shape[-2:])
    result = maps.clone()
    result[chosen, ..., :columns] = maps[chosen, ..., :columns].flip(-1)
    return result


def _pair_scale(power: Tensor) -> Tensor:
    first, second = torch.tensor(PAIRS, device=power.device).T
    return (power[:, first] * power[:, second]).sqrt().repeat_interleave(2, dim=1)
