"""Detect faults of a channel from a second or more of sound of all eight."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from avdet_ros.audio.geometry import (
    SPEED_OF_SOUND_MPS,
    cross_phases,
    directions_around,
    phase_spectra,
    steered_power,
)
from avdet_ros.audio.samples import INT16_FULL_SCALE, to_float
from avdet_ros.rig import MICROPHONES

CLIPPED = 0.999
"""Smallest magnitude of a clipped sample, as a share of full scale."""

CLIPPED_SHARE = 1e-4
"""Share of clipped samples that causes a warning."""

LARGEST_DC = 0.05
"""Largest mean of a working input, as a share of full scale."""

WEAK_DB = 25.0
"""A channel this far below the others' median does not receive the same sound."""

HUM_SHARE = 0.3
"""Share of a channel's power in harmonics of the mains frequency that causes a warning."""

SAME_CORRELATION = 0.9999
"""Correlation above the lowest frequencies that two separate microphones never reach."""

SWAP_GAIN = 1.08
"""Minimum factor by which swapping two microphones must improve the fit of the phases."""

SWAP_FIT = 0.15
"""Minimum fit after a swap; below it the sound has no direction and is only noise."""

MIXED_LSB2 = 4.0
"""Power of the second differences, in squared 16-bit steps, below which it is only rounding."""

AUDIBLE_LSB2 = 100.0
"""Minimum such power of every channel for mixtures to be detected."""

_LOWEST_DB = -100.0
_HUM_HARMONICS = 8


@dataclass
class ChannelState:
    """Measurements and faults of one channel.

    Attributes:
        level_db: level without the mean, dB re a full-scale square wave; -100 for silence.
        peak: largest magnitude, as a share of full scale.
        dc: mean, as a share of full scale.
        clipped_share: share of samples at full scale.
        hum_share: share of the power in the harmonics of 50 or 60 Hz.
        faults: short descriptions, most serious first; empty if there are none.
    """

    level_db: float
    peak: float
    dc: float
    clipped_share: float
    hum_share: float
    faults: list[str] = field(default_factory=list)


def check_channels(samples: np.ndarray, sample_rate_hz: int) -> list[ChannelState]:
    """Check each channel on its own and against the others.

    Args:
        samples: (n, channels) int16 or floating point in [-1, 1]; at least a second to find hum.
        sample_rate_hz: their sample rate.

    Returns:
        One state per channel.
    """
    sound = to_float(samples)
    hum = _hum_shares(sound, sample_rate_hz)
    states = []
    for channel, column in enumerate(sound.T):
        dc = float(column.mean()) if len(column) else 0.0
        power = float(np.mean((column - dc) ** 2)) if len(column) else 0.0
        level_db = max(_LOWEST_DB, 10 * np.log10(max(power, 1e-12)))
        peak = float(np.abs(column).max(initial=0))
        clipped = float(np.mean(np.abs(column) >= CLIPPED)) if len(column) else 0.0
        states.append(ChannelState(level_db, peak, dc, clipped, float(hum[channel])))
    dead = [bool(np.ptp(column) == 0) if len(column) else True for column in sound.T]
    for state, faults in zip(states, channel_faults(states, dead), strict=True):
        state.faults.extend(faults)
    same = _same_channels(sound)
    for channel, state in enumerate(states):
        if state.hum_share > HUM_SHARE:
            state.faults.append('hum')
        if channel in same and not dead[channel]:
            state.faults.append(f'same signal as channel {same[channel]}')
    mixed = mixed_channels(second_differences(sound))
    if mixed and not same:
        for state, is_dead in zip(states, dead, strict=True):
            if not is_dead:
                state.faults.append(f'mixed: {mixed} channels are made of others')
    return states


def channel_faults(states: list[ChannelState], dead: list[bool]) -> list[list[str]]:
    """Describe the faults visible from level, clipping and mean alone, one list per channel.

    Args:
        states: measurements of each channel.
        dead: for each channel, whether all its samples are equal.
    """
    alive = [state.level_db for state, is_dead in zip(states, dead, strict=True) if not is_dead]
    median_db = float(np.median(alive)) if alive else _LOWEST_DB
    found = []
    for state, is_dead in zip(states, dead, strict=True):
        faults = []
        if is_dead:
            faults.append('dead')
        elif state.level_db < median_db - WEAK_DB:
            faults.append(f'{median_db - state.level_db:.0f} dB weaker than the others')
        if state.clipped_share > CLIPPED_SHARE and not is_dead:
            faults.append('clipped')
        if abs(state.dc) > LARGEST_DC:
            faults.append(f'off zero by {100 * state.dc:.0f} %')
        found.append(faults)
    return found


def second_differences(sound: np.ndarray) -> np.ndarray:
    """Return (channels, channels) mean products of second differences, in squared 16-bit steps.

    Args:
        sound: (n, channels) floating point in [-1, 1].
    """
    if len(sound) < 3:
        return np.zeros((sound.shape[1],) * 2)
    rough = np.diff(np.ascontiguousarray(sound.T, np.float64), 2) * INT16_FULL_SCALE
    return rough @ rough.T / rough.shape[1]


def mixed_channels(products: np.ndarray) -> int:
    """Count the channels that are mixtures of others.

    A sound server delivers as many channels as requested. Those that the device does not have are
    mixtures of the others, or silent, and only this check reveals them. Microphones at eight
    positions never receive mixtures of one another at the same instant, least of all at high
    frequencies, which dominate second differences.

    Args:
        products: from `second_differences`.

    Returns:
        Their number; also 0 if some channel is too quiet to tell. Silent channels do not count.
    """
    power = products.diagonal()
    audible = power > AUDIBLE_LSB2
    if not audible.any() or ((power > 0) & ~audible).any():
        return 0
    strengths = np.linalg.eigvalsh(products[np.ix_(audible, audible)])
    return int((strengths < MIXED_LSB2).sum())


def find_swapped_microphones(
    samples: np.ndarray, sample_rate_hz: int, microphones_m: np.ndarray
) -> tuple[int, int] | None:
    """Find two microphones that look swapped: swapping them makes the sound fit the array better.

    Sound from a few directions must cross the array as waves. The function compares the steered
    power of each frame's best direction for the rig's array and for the array with any two
    microphones swapped. An array wired in a mirrored or rotated order fits just as well as the
    correct one; only the tap test can detect that.

    Args:
        samples: (n, 8) in the order of the rig's microphones; several seconds.
        sample_rate_hz: their sample rate.
        microphones_m: (8, 3) positions.

    Returns:
        The indices of the two microphones; None if nothing looks swapped.
    """
    spectra, frequencies_hz = phase_spectra(to_float(samples), sample_rate_hz, 2048, (300, 2000))
    if len(spectra) == 0:
        return None
    cross = cross_phases(spectra[:: max(1, len(spectra) // 40)])
    _, directions = directions_around(48)
    lead_s = directions @ (microphones_m - microphones_m.mean(axis=0)).T / SPEED_OF_SOUND_MPS

    def fit(order: np.ndarray) -> float:
        power = steered_power(cross, frequencies_hz, lead_s[:, order])
        return float(power.max(axis=-1).mean())

    straight = np.arange(MICROPHONES)
    as_wired = fit(straight)
    best, pair = 0.0, None
    for i in range(MICROPHONES):
        for j in range(i + 1, MICROPHONES):
            order = straight.copy()
            order[[i, j]] = j, i
            if (exchanged := fit(order)) > best:
                best, pair = exchanged, (i, j)
    return pair if best > SWAP_FIT and best > SWAP_GAIN * max(as_wired, 0) else None


def _hum_shares(sound: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Return the share of power in lines at mains harmonics that stand out from the spectrum."""
    shares = np.zeros(sound.shape[1])
    if len(sound) < sample_rate_hz:
        return shares
    centred = (sound - sound.mean(axis=0)) * np.hanning(len(sound))[:, None]
    power = np.abs(np.fft.rfft(centred, axis=0)) ** 2
    step_hz = sample_rate_hz / len(sound)
    total = np.maximum(power.sum(axis=0), 1e-20)
    for mains_hz in (50, 60):
        lines = np.zeros(sound.shape[1])
        for harmonic_hz in mains_hz * np.arange(1, _HUM_HARMONICS + 1):
            centre = harmonic_hz / step_hz
            line = power[_around(centre, 2.5 / step_hz)]
            near = power[_around(centre, 12 / step_hz)]
            background = np.median(near, axis=0) * len(line)
            line_power = line.sum(axis=0)
            lines += np.where(line_power > 10 * background, line_power - background, 0)
        shares = np.maximum(shares, lines / total)
    return shares


def _around(centre: float, half: float) -> slice:
    return slice(max(0, round(centre - half)), round(centre + half) + 1)


def _same_channels(sound: np.ndarray) -> dict[int, int]:
    """Map each channel that has the same signal as another channel to that channel."""
    edges = np.diff(sound, axis=0)  # removes the low frequencies, which neighbours do share
    norm = np.sqrt((edges**2).sum(axis=0))
    same: dict[int, int] = {}
    for i in range(sound.shape[1]):
        for j in range(i + 1, sound.shape[1]):
            scale = norm[i] * norm[j]
            if scale > 0 and edges[:, i] @ edges[:, j] > SAME_CORRELATION * scale:
                same.setdefault(i, j)
                same.setdefault(j, i)
    return same
