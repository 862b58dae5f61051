"""Monitor the array of a live stream, on a separate thread.

The audio thread only hands blocks over. Every few minutes of sound, the array is estimated from
the last five minutes, as `avdet calibrate` does it, and compared with the rig in use. Finding the
wave fronts costs about 0.6 % of a core, an estimate about five seconds of one core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
import logging
import threading

import numpy as np

from avdet_ros.audio.array_changes import Change, array_changes
from avdet_ros.audio.calibration_checks import LEAST_S
from avdet_ros.audio.self_calibration import SelfCalibration, calibrate_from_driving
from avdet_ros.audio.wave_fronts import WaveFrontFinder, aperture
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig

_logger = logging.getLogger(__name__)

MOST_WAITING_S = 60.0
"""Most sound that waits for the thread; any more is dropped and counts as a gap."""

HANDED_OVER_S = 0.5
"""Amount of sound handed to the thread at a time. Waking it for every block would cost more than
its work, and the audio thread, which must not wait, would pay for it."""

SEGMENTS = 1600
"""Number of newest segments used for an estimate, about five minutes."""

JOIN_S = 10.0


class ArrayWatch:
    """Estimates the array of a stream at intervals.

    Attributes:
        summary: state of the watch or its last result, in a few words.
        changes: channels that differed from the rig at the last estimate.
        estimates: number of estimates so far.
    """

    def __init__(
        self,
        rig: Rig,
        every_s: float,
        on_changes: Callable[[SelfCalibration, list[Change]], None],
    ) -> None:
        """Prepare the watch; `start` starts the thread.

        Args:
            rig: the rig in use; `use_rig` replaces it.
            every_s: seconds of sound from one estimate to the next.
            on_changes: called on the watch's thread when an estimate finds changes.
        """
        self._rig = rig
        self._every_s = max(every_s, LEAST_S)
        self._on_changes = on_changes
        self._finder = WaveFrontFinder(rig.sample_rate_hz, aperture(rig.microphones_m))
        self._waiting: deque[tuple[np.ndarray, int]] = deque()
        self._waiting_samples = self._dropped_samples = 0
        self._due = threading.Condition()
        self._ending = self._clearing = False
        self._sound_s = 0.0
        self._thread = threading.Thread(target=self._work, name='array watch', daemon=True)
        self.summary = 'listening'
        self.changes: list[Change] = []
        self.estimates = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; wait for an estimate in progress."""
        with self._due:
            self._ending = True
            self._due.notify()
        self._thread.join(JOIN_S)

    def use_rig(self, rig: Rig) -> None:
        """Compare with another rig from now on; sound received so far is kept."""
        self._rig = rig

    def add(self, samples: np.ndarray, lost: int = 0) -> None:
        """Hand over (n, 8) samples; never waits.

        Args:
            samples: a block.
            lost: number of samples lost just before it.
        """
        with self._due:
            self._dropped_samples += lost
            if self._waiting_samples > MOST_WAITING_S * self._rig.sample_rate_hz:
                self._dropped_samples += len(samples)
                return
            self._waiting.append((samples, self._dropped_samples))
            self._waiting_samples += len(samples)
            self._dropped_samples = 0
            if self._enough():
                self._due.notify()

    def clear(self) -> None:
        """Discard all sound; the next block starts a new stream."""
        with self._due:
            self._waiting.clear()
            self._waiting_samples = self._dropped_samples = 0
            self._clearing = True

    def _enough(self) -> bool:
        return self._waiting_samples >= HANDED_OVER_S * self._rig.sample_rate_hz

    def _work(self) -> None:
        while True:
            with self._due:
                self._due.wait_for(lambda: self._ending or self._enough())
                if self._ending:
                    return
                blocks = list(self._waiting)
                self._waiting.clear()
                self._waiting_samples = 0
                clearing, self._clearing = self._clearing, False
            if clearing:
                self._finder.restart()
                self._sound_s = 0.0
            for samples, lost in _joined(blocks):
                if lost:
                    self._finder.skip(lost)
                self._finder.add(samples)
                self._sound_s += len(samples) / self._rig.sample_rate_hz
            if self._sound_s >= self._every_s:
                self._sound_s = 0.0
                self._estimate()

    def _estimate(self) -> None:
        """Compare the last minutes with the rig; errors are reported in the summary."""
        rig = self._rig
        fronts = self._finder.fronts()
        newest = fronts.chosen(
            np.arange(max(0, len(fronts.time_s) - SEGMENTS), len(fronts.time_s))
        )
        try:
            result = calibrate_from_driving(newest, rig)
            changes = array_changes(result, rig)
        except AvdetError as error:
            self.summary = str(error)
            return
        except Exception:
            self.summary = 'the estimate failed'
            _logger.exception('array watch')
            return
        self.estimates += 1
        self.changes = changes
        words = '; '.join(change.sentence for change in changes) or 'as the rig says'
        self.summary = f'{words} ({result.segments} clear segments)'
        if changes:
            self._on_changes(result, changes)


def _joined(blocks: list[tuple[np.ndarray, int]]) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the same sound with the blocks between two gaps joined."""
    while blocks:
        lost, kind = blocks[0][1], blocks[0][0].dtype
        count = 1
        while count < len(blocks) and not blocks[count][1] and blocks[count][0].dtype == kind:
            count += 1
        yield np.concatenate([samples for samples, _ in blocks[:count]]), lost
        blocks = blocks[count:]
