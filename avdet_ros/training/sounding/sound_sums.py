"""The sound of a window as sums, which add when two windows are heard at once.

Of features (levels and coherences) the powers of the microphones and the cross-spectra of the
pairs are taken back, and their means over time: of two incoherent sounds both add. From them
comes, for every direction of the front, how much of the sound comes from there, by groups of
bands.
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
"""Of neighbouring mel bands, as many in each."""

LEAST_SHARE = 1e-4
"""Of the sound: 40 dB below all of it nothing is told apart."""


def sound_sums(features: Sequence[np.ndarray]) -> Tensor:
    """(F, 32, n_mels) float32: mean powers of the microphones, then mean cross-spectra.

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
    """The same sounds with left and right exchanged."""
    signs = torch.from_numpy(mirror.signs).to(sums)[:, None]
    return sums[:, torch.from_numpy(mirror.channels)] * signs


class DirectionMaps:
    """Makes (F, 2 `GROUPS`, A) maps over `directions.AZIMUTHS_DEG` of sums.

    The first half are levels in dB: what comes from a direction in a group of bands, A-weighted,
    against all the sound in all bands. The second half are how coherent it is, at most 1.

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
        """Maps of (F, 32, n_mels) sums."""
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
