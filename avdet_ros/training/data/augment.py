"""What may be changed about a window without changing what is true of it.

All of it works on a whole batch of pooled features and draws from a generator that is given, so
that a batch is the same whenever it is made again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avdet_ros.audio.features import PAIRS
from avdet_ros.detection.contract import microphones_in_array
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.recipes.read import Augmentation

SYMMETRY_TOLERANCE_M = 0.005
"""How far a microphone may be from where another one's mirror image is."""


@dataclass(frozen=True)
class Mirror:
    """How the features of a scene become those of the scene with left and right exchanged.

    Attributes:
        channels: (32,) int64: channel c of the mirrored scene is channel ``channels[c]``.
        signs: (32,) float32: times this; -1 where the pair is stored the other way round, which
            conjugates its coherence.
    """

    channels: np.ndarray
    signs: np.ndarray


def find_mirror(rig: Rig) -> Mirror:
    """The mirror of a rig that is symmetric about its x-z plane.

    Raises:
        AvdetError: microphones or camera are not symmetric, so there is no such thing.
    """
    positions_m = microphones_in_array(rig) * [1, -1, 1]
    apart_m = np.linalg.norm(positions_m[:, None] - microphones_in_array(rig)[None], axis=-1)
    image_of = apart_m.argmin(axis=1)
    camera = rig.camera
    left, right = camera.directions([[0, camera.cy], [camera.width_px, camera.cy]])
    askew = np.abs(left * [1, -1, 1] - right).max() > 0.002
    off_m = max(
        abs(camera.position_m[1]), abs(rig.array_position_m[1]), abs(rig.array_yaw_deg) / 60
    )
    if apart_m.min(axis=1).max() > SYMMETRY_TOLERANCE_M or askew or off_m > SYMMETRY_TOLERANCE_M:
        raise AvdetError(
            'augmentation.mirror: expected microphones and camera that are symmetric about '
            "the vehicle's x-z plane, found a rig that is not: set it to false"
        )
    channels = list(image_of)
    signs = [1.0] * MICROPHONES
    for first, second in PAIRS:
        # Where sound is mirrored, microphone i hears what its mirror image heard.
        pair = (int(image_of[first]), int(image_of[second]))
        stored = pair in PAIRS
        if not stored and pair[::-1] not in PAIRS:
            raise AvdetError(
                'augmentation.mirror: expected microphones numbered around the array, as in '
                f'config/rig.yaml, found pairs {first}-{second} and {pair[0]}-{pair[1]} as mirror '
                'images: set it to false'
            )
        index = PAIRS.index(pair if stored else pair[::-1])
        channels += [MICROPHONES + 2 * index, MICROPHONES + 2 * index + 1]
        signs += [1.0, 1.0 if stored else -1.0]
    return Mirror(np.array(channels), np.array(signs, np.float32))


def mirrored(
    spectrogram: Tensor, boxes: list[Tensor], mirror: Mirror
) -> tuple[Tensor, list[Tensor]]:
    """The same windows with left and right exchanged.

    Args:
        spectrogram: (B, 32, n_mels, T).
        boxes: per window (n, 4) in parts of the image.
        mirror: of the rig.
    """
    signs = torch.from_numpy(mirror.signs).to(spectrogram)[:, None, None]
    flipped = [
        torch.stack([1 - box[:, 2], box[:, 1], 1 - box[:, 0], box[:, 3]], dim=1) for box in boxes
    ]
    return spectrogram[:, torch.from_numpy(mirror.channels)] * signs, flipped


def augment(
    spectrogram: Tensor,
    boxes: list[Tensor],
    how: Augmentation,
    mirror: Mirror | None,
    generator: torch.Generator,
) -> tuple[Tensor, list[Tensor]]:
    """Change a batch.

    Args:
        spectrogram: (B, 32, n_mels, T) pooled features, unscaled; not changed.
        boxes: per window (n, 4) in parts of the image.
        how: what is done.
        mirror: of the rig; needed if ``how.mirror``.
        generator: where chance comes from.

    Returns:
        The changed copies.
    """
    count, _, bands, _ = spectrogram.shape
    chance = {'generator': generator, 'device': spectrogram.device}
    boxes = list(boxes)
    spectrogram = spectrogram.clone()
    if how.mirror:
        chosen = torch.rand(count, **chance) < 0.5
        where = torch.nonzero(chosen).flatten().tolist()
        flipped, their_boxes = mirrored(spectrogram[chosen], [boxes[i] for i in where], mirror)
        spectrogram[chosen] = flipped
        for index, box in zip(where, their_boxes, strict=True):
            boxes[index] = box
    if how.mix > 0:
        spectrogram, boxes = _mixed(spectrogram, boxes, how.mix, generator)
    overall = (torch.rand(count, 1, **chance) * 2 - 1) * how.gain_db
    each = torch.randn(count, MICROPHONES, **chance) * how.channel_gain_db
    spectrogram[:, :MICROPHONES] += (overall + each)[:, :, None, None]
    if how.mask_bands > 0:
        width = torch.randint(0, how.mask_bands + 1, (count,), **chance)
        first = torch.randint(0, bands, (count,), **chance)
        band = torch.arange(bands, device=spectrogram.device)[None]
        hidden = (band >= first[:, None]) & (band < (first + width)[:, None])
        # A hidden band sounds as the average one does and comes from nowhere.
        level = spectrogram[:, :MICROPHONES].mean(dim=(2, 3), keepdim=True)
        where = hidden[:, None, :, None]
        spectrogram[:, :MICROPHONES] = torch.where(where, level, spectrogram[:, :MICROPHONES])
        spectrogram[:, MICROPHONES:] *= ~where
    return spectrogram, boxes


def drawn_pairs(
    count: int, part: float, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Which windows of a batch are mixed with which others, never with themselves.

    Args:
        count: windows in the batch; one alone has no other.
        part: of them that are chosen.
        generator: where chance comes from.
        device: of the generator.

    Returns:
        (N,) int64 places of those chosen, and of the other window for each.
    """
    chance = {'generator': generator, 'device': device}
    chosen = torch.nonzero(torch.rand(count, **chance) < part).flatten()
    if count < 2:
        return chosen[:0], chosen[:0]
    return chosen, (chosen + torch.randint(1, count, (len(chosen),), **chance)) % count


def _mixed(
    spectrogram: Tensor, boxes: list[Tensor], part: float, generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    """Add to some windows the sound of another one: powers and cross-spectra add.

    Sounds of different vehicles are incoherent, so with S_ij = C_ij sqrt(P_i P_j) the mixture has
    S = S1 + S2 and P = P1 + P2. This takes the averages over pooled frames for what is averaged.
    """
    chance = {'generator': generator, 'device': spectrogram.device}
    chosen, partner = drawn_pairs(len(boxes), part, **chance)
    first, second = torch.tensor(PAIRS).T
    power = torch.pow(10, spectrogram[:, :MICROPHONES] / 10)
    root = power.sqrt()
    scale = (root[:, first] * root[:, second]).repeat_interleave(2, dim=1)
    cross = spectrogram[:, MICROPHONES:] * scale
    total = power[chosen] + power[partner]
    root = total.sqrt()
    scale = (root[:, first] * root[:, second]).repeat_interleave(2, dim=1)
    result = spectrogram.clone()
    result[chosen, :MICROPHONES] = 10 * torch.log10(total)
    result[chosen, MICROPHONES:] = (cross[chosen] + cross[partner]) / scale
    union = list(boxes)
    for index, other in zip(chosen.tolist(), partner.tolist(), strict=True):
        union[index] = torch.cat([boxes[index], boxes[other]])
    return result, union
