"""A counter in the lowest bits of sound, so that every recorded sample carries its own number.

The lowest bits of a sample's eight channels are one byte; the bytes of four samples are the
number of that group of four, low byte first. At -90 dB re full scale it is inaudible. Whoever
records such sound knows without any clock which samples arrived and which were lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BYTES = 4
_FEWEST = 3 * _BYTES
"""Samples that show their numbers beyond doubt: two whole groups wherever they begin."""


@dataclass(frozen=True)
class Run:
    """Samples that follow one another without loss.

    Attributes:
        index: of the first one in the block.
        sample: its number as it was sent.
        count: how many.
    """

    index: int
    sample: int
    count: int


def mark(samples: np.ndarray, first: int) -> np.ndarray:
    """Samples with their numbers in the lowest bits.

    Args:
        samples: (n, 8) int16.
        first: number of the first one.
    """
    bits = np.unpackbits(_bytes(first, len(samples))[:, None], axis=1, bitorder='little')
    return (samples & np.int16(-2)) | bits.astype(np.int16)


def read_marks(samples: np.ndarray) -> list[Run]:
    """The numbers of recorded samples.

    Args:
        samples: (n, 8) int16 as recorded; other kinds, as simulated sound is, have no marks.

    Returns:
        The runs in them, in order; samples without a mark are in none.
    """
    if samples.dtype != np.int16:
        return []
    found = np.packbits((samples & 1).astype(np.uint8), axis=1, bitorder='little')[:, 0]
    runs = []
    at = 0
    while at + _FEWEST <= len(found):
        sample = _number(found[at : at + _FEWEST])
        if sample is None:
            at += 1
            continue
        differs = np.flatnonzero(found[at:] != _bytes(sample, len(found) - at))
        count = int(differs[0]) if len(differs) else len(found) - at
        runs.append(Run(at, sample, count))
        at += count
    return runs


def _bytes(first: int, count: int) -> np.ndarray:
    number = np.arange(first, first + count, dtype=np.int64)
    return (number // _BYTES >> 8 * (number % _BYTES) & 0xFF).astype(np.uint8)


def _number(found: np.ndarray) -> int | None:
    """Number of the first of `_FEWEST` bytes, None when they are no marks."""
    for phase in range(_BYTES):
        start = -phase % _BYTES
        group = int.from_bytes(found[start : start + _BYTES].tobytes(), 'little')
        sample = group * _BYTES - start
        if sample >= 0 and (found == _bytes(sample, len(found))).all():
            return sample
    return None
