"""Augmentation, drawn again each time a window is used in training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS, speed_of_sound_mps


@dataclass(frozen=True)
class Augmentation:
    """Random changes, drawn again for every window in every epoch.

    Attributes:
        mirror: probability that left and right are exchanged.
        level_db: standard deviation of the level, as microphones differ in sensitivity.
        missing: probability that one microphone is missing, and again that a second one is.
        position_m: largest standard deviation of the errors of positions the network receives.
        yaw_deg: standard deviation of the error of the yaw it receives.
        masked: probability that some neighbouring bands are silenced, and again that some
            neighbouring frames are.
        masked_bands: largest number of silenced bands.
        masked_frames: largest number of silenced frames.
        wind: probability that uncorrelated noise is added to the microphones, more of it in low
            bands; coherences shrink and levels rise according to its power.
        wind_part: largest share of the power that this noise has.
        turned_deg: largest angle by which the whole scene is turned about the array, to either
            side.
        motion: probability that steering is computed for the ego vehicle's speed, where windows
            contain it; otherwise for a standing array, as in a detector without odometry.
        air: probability that it is computed for the air temperature; otherwise for 343 m/s.
    """

    mirror: float = 0.5
    level_db: float = 1.5
    missing: float = 0.2
    position_m: float = 0.002
    yaw_deg: float = 0.3
    masked: float = 0.3
    masked_bands: int = 10
    masked_frames: int = 8
    wind: float = 0.3
    wind_part: float = 0.6
    turned_deg: float = 10.0
    motion: float = 0.7
    air: float = 0.5


NO_AUGMENTATION = Augmentation(
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, wind=0.0, turned_deg=0.0, motion=0.0, air=0.0
)
"""No random changes; the vehicle is assumed to stand, in air of 20 degrees."""


def wave_speed_mps(
    azimuth_rad: Tensor, ahead_mps: Tensor, air_c: Tensor, motion: Tensor, air: Tensor
) -> Tensor:
    """Compute the speed of waves past each of B arrays; see `detection.steering`.

    Args:
        azimuth_rad: (B, A) in base_link; NaN where the camera's heading is unknown.
        ahead_mps: (B,) forward speed of the vehicle; NaN where unknown.
        air_c: (B,) air temperature; NaN where unknown.
        motion: (B,) bool, whether the speed is used; otherwise the array stands.
        air: (B,) bool, whether the temperature is used; otherwise `SPEED_OF_SOUND_MPS` holds.

    Returns:
        (B, A).
    """
    moving = ahead_mps[:, None] * azimuth_rad.cos()
    moving = torch.where(motion[:, None] & torch.isfinite(moving), moving, 0.0)
    sound_mps = speed_of_sound_mps(0.0) * torch.sqrt(1 + air_c / 273.15)
    sound_mps = torch.where(air & torch.isfinite(sound_mps), sound_mps, SPEED_OF_SOUND_MPS)
    return sound_mps[:, None] + moving


def missing(chance: Tensor, order: Tensor, probability: float) -> Tensor:
    """(B, 8) bool: microphones left out, none, one, or two with the square of the probability."""
    rank = order.argsort(dim=1).argsort(dim=1)
    count = (chance[:, 0] < probability).long()
    count = count + count * (chance[:, 1] < probability).long()
    return rank < count[:, None]


def stretch(drawn: Tensor, probability: float, most: int, length: int) -> Tensor:
    """(B, length) bool: with some probability, 1 to ``most`` neighbours in a row are true."""
    width = (1 + (drawn[:, 1] * most).floor()).clamp(max=length)
    start = (drawn[:, 2] * (length - width + 1)).floor()
    place = torch.arange(length, device=drawn.device)
    inside = (place >= start[:, None]) & (place < (start + width)[:, None])
    return inside & (drawn[:, :1] < probability)


def wind(drawn: Tensor, augmentation: Augmentation, bands: int) -> Tensor:
    """(B, bands) share of the power that is wind, falling off around a random band."""
    band = torch.arange(bands, device=drawn.device)
    around, width = drawn[:, 1:2] * bands, 2 + 10 * drawn[:, 2:3]
    part = augmentation.wind_part * drawn[:, 3:4] * torch.sigmoid((around - band) / width)
    return part * (drawn[:, :1] < augmentation.wind)
