"""Which channels of a live stream live: one that dies is found within two seconds.

A channel is dead when all its samples are equal, or when it is so far below the others that it
hears nothing of what they hear. It comes back when it has been well for some seconds.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.audio.levels import WEAK_DB
from avdet_ros.audio.samples import to_float
from avdet_ros.rig import LEAST_ALIVE, MICROPHONES

CHECK_S = 0.5
"""The channels are compared so often."""

OUT_AFTER, BACK_AFTER = 3, 10
"""Checks in a row that a channel fails before it is out, and passes before it is back."""

SILENT_DB = -90.0
"""Where the middle channel is below this there is no sound to judge by."""


class LivingChannels:
    """Watches the channels of a stream.

    Attributes:
        alive: (8,) bool, channels that the rig file calls alive and that are well.
    """

    def __init__(self, sample_rate_hz: int, known: np.ndarray) -> None:
        """Begin with what the rig file says.

        Args:
            sample_rate_hz: of the stream.
            known: (8,) bool, channels that the rig file calls alive.
        """
        self._enough = round(CHECK_S * sample_rate_hz)
        self._known = np.asarray(known, bool)
        self._out = np.zeros(MICROPHONES, bool)
        self._failed = np.zeros(MICROPHONES, int)
        self._passed = np.zeros(MICROPHONES, int)
        self._low: np.ndarray
        self._high: np.ndarray
        self._clear()

    @property
    def alive(self) -> np.ndarray:
        """See the class."""
        return self._known & ~self._out

    def add(self, samples: np.ndarray) -> bool:
        """Take (n, 8) samples.

        Returns:
            whether a channel died or came back.
        """
        values = to_float(samples)
        self._count += len(values)
        self._sum += values.sum(axis=0, dtype=np.float64)
        self._squares += np.square(values).sum(axis=0, dtype=np.float64)
        self._low = np.minimum(self._low, values.min(axis=0, initial=np.inf))
        self._high = np.maximum(self._high, values.max(axis=0, initial=-np.inf))
        return self._count >= self._enough and self._check()

    def _check(self) -> bool:
        power = self._squares / self._count - (self._sum / self._count) ** 2
        level_db = 10 * np.log10(np.maximum(power, 1e-12))
        constant = self._high == self._low
        self._clear()
        judged = self._known & ~constant
        usual_db = float(np.median(level_db[judged])) if judged.any() else -np.inf
        if usual_db < SILENT_DB:
            return False  # nothing is connected, or nothing is heard: no channel is worse
        bad = constant | (level_db < usual_db - WEAK_DB)
        self._failed = np.where(bad, self._failed + 1, 0)
        self._passed = np.where(bad, 0, self._passed + 1)
        before = self._out
        out = (before & (self._passed < BACK_AFTER)) | (self._failed >= OUT_AFTER)
        if (self._known & ~out).sum() < LEAST_ALIVE:
            return False
        self._out = out
        return bool((self._known & (out != before)).any())

    def _clear(self) -> None:
        self._count = 0
        self._sum, self._squares = np.zeros(MICROPHONES), np.zeros(MICROPHONES)
        self._low, self._high = np.full(MICROPHONES, np.inf), np.full(MICROPHONES, -np.inf)
