"""Which channel carries which microphone, as passing traffic tells it.

Waves cross an array wired as the rig file says without contradiction; with two plugs exchanged
they do not. Below a kilohertz, errors of centimetres and of samples hardly matter while an
exchange does. An array wired in a mirrored or rotated order shows perfect waves from wrong sides:
only the camera or tapping tells that.
"""

from __future__ import annotations

from dataclasses import replace
import itertools

import numpy as np

from avdet_ros.audio.array_sources import ArrayGuess, search_azimuths
from avdet_ros.audio.wave_fronts import WaveFronts

LOW_HZ = 1000.0
"""Of an array half a metre wide."""

SEGMENTS = 240
"""So many of the clearest segments are tried."""

LEAST_GAIN = 1.06
"""How much better the waves must fit for an exchange to be believed."""

MOST_EXCHANGES = 3
KEPT = 24
"""Orders from which each step goes on."""


def find_order(fronts: WaveFronts, nominal: ArrayGuess) -> np.ndarray:
    """Which microphone of the rig file each channel really carries.

    Exchanges of two are tried one after the other, the most promising orders kept at each step:
    of two exchanges neither need help alone.

    Args:
        fronts: of minutes of sound.
        nominal: the rig file's array.

    Returns:
        (8,) indices of microphones; 0 to 7 in order where nothing is exchanged.
    """
    fronts = _clear_part(fronts, nominal)
    count = len(nominal.alive)
    straight = tuple(range(count))
    if not len(fronts.time_s):
        return np.array(straight)
    best, best_score = straight, _fit(fronts, nominal, straight)
    kept, known = [straight], {straight}
    for exchanges in range(1, MOST_EXCHANGES + 1):
        tries = {}
        for order in kept:
            for i, j in itertools.combinations(range(count), 2):
                other = list(order)
                other[i], other[j] = other[j], other[i]
                if tuple(other) not in known:
                    known.add(tuple(other))
                    tries[tuple(other)] = _fit(fronts, nominal, tuple(other))
        kept = sorted(tries, key=tries.__getitem__, reverse=True)[:KEPT]
        score = tries[kept[0]] / LEAST_GAIN**exchanges
        if score > best_score:
            best, best_score = kept[0], score
    return np.array(best)


def reordered(array: ArrayGuess, order: np.ndarray) -> ArrayGuess:
    """The array with each channel where the microphone it really carries is."""
    return replace(array, positions_m=array.positions_m[np.asarray(order)])


def _clear_part(fronts: WaveFronts, nominal: ArrayGuess) -> WaveFronts:
    """The clearest segments' low bands."""
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
