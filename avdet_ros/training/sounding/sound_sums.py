"""The sound of a window as powers and cross-spectra, which add when two windows are mixed.

The powers of the microphones and the cross-spectra of the pairs are recovered from features
(levels and coherences) and averaged over time; for two incoherent sounds both are additive. From
them follows how much of the sound comes from each frontal direction, by groups of bands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.detection.steering import steering
from avdet_ros.evaluation.sounding.directions import (
    AZIMUTHS_DEG,
    a_weighting_db,
    band_middles_hz,
    band_widths,
)
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.data.mirror import Mirror

GROUPS = 8
"""Number of groups of neighbouring mel bands, all of equal size."""

LEAST_SHARE = 1e-4
"""Lower limit of a direction's share of the sound: 40 dB below all of it."""


def sound_sums(features: Sequence[np.ndarray]) -> Tensor:
    """Compute mean powers of the microphones, then mean cross-spectra: (F, 32, n_mels) float32.

    Args:
        features: (32, n_mels, T) of each frame, levels in dB and coherences.
    """
    first, second = np.array(PAIRS).T
    sums = []
    for frame in features:
        frame = np.asarray(frame, np.float32)
        power = 10 ** (frame[:MICROPHONES] / 10)
        scale = np.sqrt(power[first] * power[second]).repeat(2, axis=0)
        cross = frame[MICROPHONES:] * scale
        sums.append(np.concatenate([power.mean(axis=2), cross.mean(axis=2)]))
    return torch.from_numpy(np.stack(sums)) if sums else torch.zeros(0, 32, 1)


def mirrored_sums(sums: Tensor, mirror: Mirror) -> Tensor:
    """Mirror sounds left to right."""
    signs = torch.from_numpy(mirror.signs).to(sums)[:, None]
    return sums[:, torch.from_numpy(mirror.channels)] * signs


class DirectionMaps:
    """Compute (F, 2 `GROUPS`, A) maps over `directions.AZIMUTHS_DEG` from sums.

    The first half are levels in dB: the A-weighted sound from a direction in a group of bands,
    relative to the whole sound in all bands. The second half is its coherence, at most 1.

    Args:
        rig: array and camera.
    """

    def __init__(self, rig: Rig) -> None:
        front_end = FrontEnd.of(rig)
        self.steering = torch.from_numpy(steering(rig, front_end, AZIMUTHS_DEG))
        middle_hz = band_middles_hz(front_end)
        weight = 10 ** (a_weighting_db(middle_hz) / 10) * band_widths(front_end)
        self.weight = torch.from_numpy(weight.astype(np.float32))
        bands = front_end.n_mels
        group = torch.arange(bands) * GROUPS // bands
        self.members = torch.nn.functional.one_hot(group, GROUPS).float()

    def __call__(self, sums: Tensor) -> Tensor:
        """Compute maps of (F, 32, n_mels) sums."""
        first, second = torch.tensor(PAIRS).T
        power = sums[:, :MICROPHONES].clamp(min=1e-20)
        scale = (power[:, first] * power[:, second]).sqrt().repeat_interleave(2, dim=1)
        coherence = sums[:, MICROPHONES:] / scale
        response = torch.einsum('bac,fcb->fab', self.steering, coherence).clamp(min=0)
        loud = power.mean(dim=1) * self.weight
        share = (response * (loud / loud.sum(dim=1, keepdim=True))[:, None]) @ self.members
        level = 10 * torch.log10(share.clamp(min=LEAST_SHARE))
        coherent = response @ (self.members / self.members.sum(dim=0))
        return torch.cat([level, coherent], dim=2).transpose(1, 2)
