"""Recordings for tests: noise, files of noise, and reading all samples of a source."""

from __future__ import annotations

import time

import numpy as np
import soundfile

RATE = 44100


def noise(seconds, channels=8, rate=RATE):
    rng = np.random.default_rng(6)
    return (0.2 * rng.standard_normal((round(seconds * rate), channels))).clip(-1, 1)


def write(path, sound, rate=RATE, **how):
    soundfile.write(path, sound, rate, **how)
    return path


def read_all(source, limit_s=60.0):
    """Return all samples of a source and check the numbers of its blocks."""
    source.start()
    pieces, expected = [], 0
    end = time.monotonic() + limit_s
    while not source.exhausted and time.monotonic() < end:
        block = source.read(0.1)
        if block is not None:
            assert block.first_sample == expected
            expected += len(block.samples)
            pieces.append(block.samples)
    source.stop()
    return np.concatenate(pieces)
