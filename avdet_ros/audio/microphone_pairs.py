"""Pairs of microphones whose coherence is a feature."""

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
"""All pairs: those of `PAIRS` first, then the shorter and the longer diagonals."""

PAIRS_BY_COUNT = {len(pairs): pairs for pairs in (PAIRS, EVERY_PAIR)}
"""Sets of pairs that a front end supports, by their number: 12 or 28."""

CHANNELS = {MICROPHONES + 2 * count for count in PAIRS_BY_COUNT}
"""Possible numbers of feature channels: levels, then real and imaginary part of each pair."""


def pair_count_of(names: Sequence[str]) -> int:
    """Return the number of pairs in features with these names; twelve if no front end has them.

    Unknown names are reported when they are compared with those of a front end.
    """
    count = sum(name.startswith('coherence_re') for name in names)
    return count if count in PAIRS_BY_COUNT else len(PAIRS)


def of_first_pairs(spectrogram: np.ndarray, channels: int) -> np.ndarray:
    """Reduce features to those of the first pairs.

    The features of all pairs begin with those of the twelve, so one front end serves models of
    both kinds.

    Args:
        spectrogram: features computed by a front end; any other array is returned unchanged.
        channels: number of feature channels to keep.
    """
    there = spectrogram.shape[0] if spectrogram.ndim else 0
    more = there > channels and {there, channels} <= CHANNELS
    return spectrogram[:channels] if more else spectrogram
