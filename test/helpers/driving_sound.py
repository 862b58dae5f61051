"""Sound of traffic around an array as plane waves: fast, with known errors of the array."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import yaml

from avdet_ros.rig import default_rig_path, parse_rig

RATE = 16000
SPEED = 343.0
PIECE_S = 1.5


def small_rig(change=lambda tree: None):
    """The shipped rig at a low sample rate, which is faster; `change` edits its tree."""
    tree = yaml.safe_load(default_rig_path().read_text())
    tree['array']['sample_rate_hz'] = RATE
    change(tree)
    return parse_rig(tree)


@dataclass
class Errors:
    """How the array differs from its rig file, with one entry per channel.

    Attributes:
        gain_db: (8,) how much louder.
        late_s: (8,) how much later.
        moved_m: (8, 3) true minus rig, of the microphone on that channel.
        order: (8,) which microphone of the rig each channel carries.
        dead: channels without sound.
        yaw_deg: of the whole array.
    """

    gain_db: np.ndarray = field(default_factory=lambda: np.zeros(8))
    late_s: np.ndarray = field(default_factory=lambda: np.zeros(8))
    moved_m: np.ndarray = field(default_factory=lambda: np.zeros((8, 3)))
    order: np.ndarray = field(default_factory=lambda: np.arange(8))
    dead: tuple[int, ...] = ()
    yaw_deg: float = 0.0

    def positions_m(self, rig):
        """(8, 3) true places from the array's centre, along base_link's axes."""
        yaw = np.radians(self.yaw_deg)
        turn = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        return (rig.microphones_m - rig.array_position_m)[self.order] @ turn + self.moved_m


def traffic_azimuths(seconds, seed, low_deg=-180.0, high_deg=180.0):
    """One direction for each piece of the sound, radians."""
    count = int(np.ceil(seconds / PIECE_S))
    return np.radians(np.random.default_rng(seed).uniform(low_deg, high_deg, count))


def driving_sound(rig, azimuths, errors=None, seed=0, noise=0.1, own=0.3, traffic=1.0):
    """Return (n, 8) float32: one source after another, the own engine all the time, and wind.

    Args:
        rig: the rig file's array.
        azimuths: radians, of one source per piece of `PIECE_S`.
        errors: of the array; None for none.
        seed: of all noise.
        noise: level of the independent noise of each channel.
        own: level of a steady source ahead.
        traffic: level of the sources, each up to 6 dB louder or quieter.
    """
    errors = errors or Errors()
    rng = np.random.default_rng(seed)
    places = errors.positions_m(rig)
    count = int(PIECE_S * RATE)
    hz = np.fft.rfftfreq(count, 1 / RATE)
    tilt = 1 / np.sqrt(1 + (hz / 1500) ** 2)

    def turns(angle):
        """Return (8, frequencies) phase factors of a wave from this angle in each channel."""
        ahead = np.array([np.cos(angle), np.sin(angle), 0.0])
        lead_s = places @ ahead / SPEED - errors.late_s
        return np.exp((2j * np.pi * hz * lead_s[:, None]).astype(np.complex64))

    steady = turns(0.0)
    pieces = []
    for azimuth in azimuths:
        loud = traffic * rng.uniform(0.5, 2)
        passing, ego = rng.standard_normal((2, count))
        # In every fourth piece no vehicle passes, and the steady source is heard alone.
        if len(pieces) % 4 == 3:
            spectra = own * tilt * np.fft.rfft(rng.standard_normal(count)) * steady
        else:
            spectra = own * tilt * np.fft.rfft(ego) * steady
            spectra += loud * tilt * np.fft.rfft(passing) * turns(azimuth)
        pieces.append(np.fft.irfft(spectra, count).T)
    sound = np.concatenate(pieces)
    sound[:, list(errors.dead)] = 0
    sound += noise * rng.standard_normal(sound.shape)
    return (0.05 * sound * 10 ** (errors.gain_db / 20)).astype(np.float32)
