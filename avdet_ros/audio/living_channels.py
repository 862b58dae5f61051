"""Monitor which channels of a live stream are alive; a dead one is found within two seconds.

A channel is dead if all its samples are equal, or if its level is so far below the others that it
does not receive the same sound. It is used again after several good seconds.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.audio.channel_sums import ChannelSums
from avdet_ros.audio.levels import WEAK_DB
from avdet_ros.rig import LEAST_ALIVE, MICROPHONES

CHECK_S = 0.5
"""Interval between two comparisons of the channels."""

OUT_AFTER, BACK_AFTER = 3, 10
"""Consecutive failed checks until a channel is left out, and passed checks until it is back."""

SILENT_DB = -90.0
"""If the median channel is below this level, there is too little sound for a check."""


class LivingChannels:
    """Monitors the channels of a stream.

    Attributes:
        alive: (8,) bool, channels that the rig file marks as alive and that pass the checks.
    """

    def __init__(self, sample_rate_hz: int, rig_alive: np.ndarray) -> None:
        """Start with the channels of the rig file.

        Args:
            sample_rate_hz: sample rate of the stream.
            rig_alive: (8,) bool, channels that the rig file marks as alive.
        """
        self._enough = round(CHECK_S * sample_rate_hz)
        self._rig_alive = np.asarray(rig_alive, bool)
        self._excluded = np.zeros(MICROPHONES, bool)
        self._failed = np.zeros(MICROPHONES, int)
        self._passed = np.zeros(MICROPHONES, int)
        self._sums = ChannelSums.empty(MICROPHONES)

    @property
    def alive(self) -> np.ndarray:
        """See the class."""
        return self._rig_alive & ~self._excluded

    def add(self, sums: ChannelSums) -> bool:
        """Add the sums of the eight channels over the next piece of sound.

        Returns:
            Whether a channel died or came back.
        """
        self._sums += sums
        return self._sums.count >= self._enough and self._check()

    def _check(self) -> bool:
        sums, self._sums = self._sums, ChannelSums.empty(MICROPHONES)
        level_db, constant = 10 * np.log10(sums.power), sums.constant
        compared = self._rig_alive & ~constant
        usual_db = float(np.median(level_db[compared])) if compared.any() else -np.inf
        if usual_db < SILENT_DB:
            return False  # nothing connected, or silence: no channel stands out
        bad = constant | (level_db < usual_db - WEAK_DB)
        self._failed = np.where(bad, self._failed + 1, 0)
        self._passed = np.where(bad, 0, self._passed + 1)
        before = self._excluded
        excluded = (before & (self._passed < BACK_AFTER)) | (self._failed >= OUT_AFTER)
        if (self._rig_alive & ~excluded).sum() < LEAST_ALIVE:
            return False
        self._excluded = excluded
        return bool((self._rig_alive & (excluded != before)).any())
