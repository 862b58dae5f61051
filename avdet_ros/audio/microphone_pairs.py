"""Which pairs of microphones have a coherence among the features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avdet_ros.rig import MICROPHONES

PAIRS = tuple((i, (i + 1) % MICROPHONES) for i in range(MICROPHONES)) + tuple(
    (i, i + MICROPHONES // 2) for i in range(MICROPHONES // 2)
)
"""Microphone pairs of the coherence features: the octagon's eight sides, then its diameters."""

EVERY_PAIR = PAIRS + tuple(
    (i, (i + step) % MICROPHONES) for step in (2, 3) for i in range(MICROPHONES)
)
"""The same, then all others: nearer and further diagonals."""

PAIRS_BY_COUNT = {len(pairs): pairs for pairs in (PAIRS, EVERY_PAIR)}
"""What a front end can be asked for: 12 or 28."""

CHANNELS = {MICROPHONES + 2 * count for count in PAIRS_BY_COUNT}
"""Of the features: levels, then real and imaginary part of each pair."""


def pair_count_of(names: Sequence[str]) -> int:
    """How many pairs features of these names have; twelve where they are of no front end.

    Other names are told where they are compared with those of a front end.
    """
    count = sum(name.startswith('coherence_re') for name in names)
    return count if count in PAIRS_BY_COUNT else len(PAIRS)


def of_first_pairs(spectrogram: np.ndarray, channels: int) -> np.ndarray:
    """Features of the first pairs alone, taken out of those of more pairs.

    Those of all pairs begin with those of the twelve: one front end serves models of both kinds.

    Args:
        spectrogram: features as a front end computes them; what is of none stays as it is.
        channels: how many are wanted.
    """
    there = spectrogram.shape[0] if spectrogram.ndim else 0
    more = there > channels and {there, channels} <= CHANNELS
    return spectrogram[:channels] if more else spectrogram
