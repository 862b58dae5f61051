"""Hide a counter in the lowest bits of sound, so that every recorded sample carries its number.

The lowest bits of a sample's eight channels form one byte. The bytes of four samples form the
number of that group of four, low byte first. At -90 dB re full scale the counter is inaudible. A
recording of such sound shows without any clock which samples arrived and which were lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BYTES = 4
_FEWEST = 3 * _BYTES
"""Samples needed to read the number reliably: they contain two whole groups at any offset."""


@dataclass(frozen=True)
class Run:
    """Consecutive samples without loss.

    Attributes:
        index: index of the first one in the block.
        sample: number with which the first one was sent.
        count: number of samples.
    """

    index: int
    sample: int
    count: int


def mark(samples: np.ndarray, first: int) -> np.ndarray:
    """Return the samples with their numbers in the lowest bits.

    Args:
        samples: (n, 8) int16.
        first: number of the first sample.
    """
    bits = np.unpackbits(_bytes(first, len(samples))[:, None], axis=1, bitorder='little')
    return (samples & np.int16(-2)) | bits.astype(np.int16)


def read_marks(samples: np.ndarray) -> list[Run]:
    """Read the numbers of recorded samples.

    Args:
        samples: (n, 8) recorded int16; other types, such as simulated sound, have no marks.

    Returns:
        The runs, in order; samples without a mark belong to no run.
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
    """Return the number of the first of `_FEWEST` bytes; None if they are not marks."""
    for phase in range(_BYTES):
        start = -phase % _BYTES
        group = int.from_bytes(found[start : start + _BYTES].tobytes(), 'little')
        sample = group * _BYTES - start
        if sample >= 0 and (found == _bytes(sample, len(found))).all():
            return sample
    return None
