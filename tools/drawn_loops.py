"""Generate random vehicle loops, so that a model learns directions and not one synthesis.

    python tools/drawn_loops.py OUT [SEED]

Writes engines and tyres as mono WAV files; `--recordings OUT` plays them as the sound of vehicles.
Spectrum, rhythm, bandwidth and length are drawn for each loop, and vary far more than in real
vehicles: engines are pulse trains of any number of cylinders, filtered by resonances; tyres are
noise filtered by resonances, modulated once or several times per turn of the wheel. Nothing is
shared with the synthesis of `avdet_ros/simulation`, and no loop is meant to be realistic.
A SEED gives other loops, to test with sounds that were not in training.
"""

from __future__ import annotations

from pathlib import Path
import sys

import numpy as np
from scipy import fft
from scipy.signal import lfilter
import soundfile

RATE_HZ = 16000
ENGINES, TYRES = 60, 40
SHORTEST_S, LONGEST_S = 0.6, 4.0


def main(out: Path, *seed: int) -> None:
    """Draw the loops and write them."""
    out.mkdir(parents=True)
    for role, number, draw in (('engine', ENGINES, engine), ('tyre', TYRES, tyre)):
        for index in range(number):
            rng = np.random.default_rng([index, number, *seed])
            seconds = SHORTEST_S * (LONGEST_S / SHORTEST_S) ** rng.random()
            sound = band_limited(rng, draw(rng, round(seconds * RATE_HZ)))
            sound *= 0.3 / np.abs(sound).max()
            kmh = rng.integers(25, 90)
            soundfile.write(out / f'{role}_drawn{index:02d}_{kmh}kmh.wav', sound, RATE_HZ)


def engine(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Draw an engine, (samples,): pulses with a strength per cylinder, and hiss between them."""
    rate_hz = 18 * (120 / 18) ** rng.random()
    cylinders = int(rng.integers(1, 9))
    strengths = np.exp(rng.normal(0, rng.uniform(0, 0.6), cylinders))
    # A whole number of cycles of all cylinders fits into the loop, so its rhythm has no seam.
    pulses = max(1, round(samples / RATE_HZ * rate_hz / cylinders)) * cylinders
    times = (np.arange(pulses) + rng.normal(0, rng.uniform(0, 0.05), pulses)) / pulses * samples
    excitation = np.zeros(samples)
    np.add.at(excitation, times.astype(int) % samples, np.resize(strengths, pulses))
    near = lfilter([1], [1, -np.exp(-1 / (RATE_HZ * 0.004))], excitation)
    hiss = rng.normal(0, 1, samples) * (near / near.max() + rng.uniform(0, 0.5))
    mixed = excitation / excitation.std() + rng.uniform(0.02, 1.0) * hiss / hiss.std()
    sound = resonant(rng, mixed, 2 + int(rng.integers(5)))
    return np.tanh(rng.uniform(0.2, 3) * sound / sound.std())


def tyre(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Draw a tyre, (samples,): noise modulated by the turns of the wheel."""
    noise = rng.normal(0, 1, samples)
    turns = max(1, round(samples / RATE_HZ * rng.uniform(3, 12)))
    phase = 2 * np.pi * np.arange(samples) / samples * turns
    for times in rng.integers(1, 40, int(rng.integers(0, 3))):
        noise *= 1 + rng.uniform(0, 0.9) * np.cos(times * phase + rng.uniform(0, 2 * np.pi))
    return resonant(rng, noise, 1 + int(rng.integers(4)))


def resonant(rng: np.random.Generator, sound: np.ndarray, resonances: int) -> np.ndarray:
    """Filter a loop circularly with a spectral tilt, an equaliser and some resonances."""
    spectrum = fft.rfft(sound)
    frequency_hz = np.maximum(fft.rfftfreq(len(sound), 1 / RATE_HZ), 20.0)
    octave = np.log2(frequency_hz / 500)
    points = np.arange(-5, 5)
    gain_db = rng.uniform(-9, 2) * octave + np.interp(octave, points, rng.normal(0, 4, 10))
    for _ in range(resonances):
        width = 0.03 * (1.0 / 0.03) ** rng.random()
        middle = rng.uniform(-3.5, 3.5)
        gain_db += rng.uniform(4, 18) * np.exp(-(((octave - middle) / width) ** 2))
    return fft.irfft(spectrum * 10 ** (gain_db / 20), len(sound))


def band_limited(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """Limit a sound to a random bandwidth, as in a recording."""
    spectrum = fft.rfft(sound)
    frequency_hz = fft.rfftfreq(len(sound), 1 / RATE_HZ)
    high_hz = 2500 * (8000 / 2500) ** rng.random()
    spectrum *= 1 / np.sqrt(1 + (frequency_hz / high_hz) ** 12)
    spectrum *= 1 / np.sqrt(1 + (rng.uniform(20, 120) / np.maximum(frequency_hz, 1)) ** 6)
    return fft.irfft(spectrum, len(sound))


if __name__ == '__main__':
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
