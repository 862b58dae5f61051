"""Find which channel carries which microphone, from passing traffic.

Waves fit an array that is wired as the rig file says; with two plugs swapped they do not. Below a
kilohertz, position errors of centimetres and delays of samples hardly matter, while a swap does.
An array wired in a mirrored or rotated order shows perfect waves from wrong sides: only the camera
or the tap test can detect that.
"""

from __future__ import annotations

from dataclasses import replace
import itertools

import numpy as np

from avdet_ros.audio.array_sources import ArrayGuess, search_azimuths
from avdet_ros.audio.wave_fronts import WaveFronts

LOW_HZ = 1000.0
"""Highest frequency used, for an array half a metre wide."""

SEGMENTS = 240
"""Number of clear segments that are tried."""

LEAST_GAIN = 1.06
"""Minimum factor, per swap, by which a swap must improve the fit of the waves."""

MOST_EXCHANGES = 3
KEPT = 24
"""Number of orders that each step continues from."""


def find_order(fronts: WaveFronts, nominal: ArrayGuess) -> np.ndarray:
    """Find the microphone of the rig file that each channel really carries.

    The search swaps two channels at a time and keeps the most promising orders at each step,
    because of two swaps neither may improve the fit alone.

    Args:
        fronts: wave fronts of some minutes of sound.
        nominal: the rig file's array.

    Returns:
        (8,) indices of microphones; 0 to 7 in order if nothing is swapped.
    """
    fronts = _clear_part(fronts, nominal)
    count = len(nominal.alive)
    straight = tuple(range(count))
    if not len(fronts.time_s):
        return np.array(straight)
    best, best_score = straight, _fit(fronts, nominal, straight)
    candidates, tested = [straight], {straight}
    for exchanges in range(1, MOST_EXCHANGES + 1):
        scores = {}
        for order in candidates:
            for i, j in itertools.combinations(range(count), 2):
                exchanged = list(order)
                exchanged[i], exchanged[j] = exchanged[j], exchanged[i]
                if tuple(exchanged) not in tested:
                    tested.add(tuple(exchanged))
                    scores[tuple(exchanged)] = _fit(fronts, nominal, tuple(exchanged))
        candidates = sorted(scores, key=scores.__getitem__, reverse=True)[:KEPT]
        score = scores[candidates[0]] / LEAST_GAIN**exchanges
        if score > best_score:
            best, best_score = candidates[0], score
    return np.array(best)


def reordered(array: ArrayGuess, order: np.ndarray) -> ArrayGuess:
    """Return the array with each channel at the position of the microphone it really carries."""
    return replace(array, positions_m=array.positions_m[np.asarray(order)])


def _clear_part(fronts: WaveFronts, nominal: ArrayGuess) -> WaveFronts:
    """Return the low bands of every third of the clearest segments."""
    low = fronts.frequencies_hz <= LOW_HZ * 0.5 / min(nominal.aperture_m, 0.5)
    strength = fronts.weights[:, low].sum(axis=1)
    best = np.sort(np.argsort(-strength, kind='stable')[: 3 * SEGMENTS])[::3]
    return replace(
        fronts,
        time_s=fronts.time_s[best],
        frequencies_hz=fronts.frequencies_hz[low],
        vectors=(fronts.vectors[best] * nominal.alive)[:, low],
        weights=fronts.weights[best][:, low],
    )


def _fit(fronts: WaveFronts, nominal: ArrayGuess, order: tuple[int, ...]) -> float:
    return float(search_azimuths(fronts, reordered(nominal, np.array(order)))[1].mean())
