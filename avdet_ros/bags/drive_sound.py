"""The whole sound of a drive, copied to disk so that clips around any instant can be cut out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.audio.sound_rate import WATCH_S, other_rate
from avdet_ros.bags.reader import Bag
from avdet_ros.bags.sound_blocks import BagSound
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES


class DriveSound:
    """The sound of one bag.

    Attributes:
        sound: source of the sound, with counts of its defects.
        gaps: lost sound as (first sample, number of samples).
        samples: length of the drive, gaps included.
        note: where the stamps jump permanently or the sample rate changes, or None.
        clock_ns: (B,) int64, receive time minus stamp of each block.
    """

    def __init__(self, bag: Bag, topic: str, sample_rate_hz: int, scratch: Path) -> None:
        """Copy the sound out of a bag.

        Args:
            bag: the recording.
            topic: its sound.
            sample_rate_hz: the rig's.
            scratch: file to write to; the caller removes it.

        Raises:
            AvdetError: the topic contains no stamped eight-channel sound at this rate.
        """
        self._rate = sample_rate_hz
        self.gaps: list[tuple[int, int]] = []
        self.note: str | None = None
        self.samples = 0
        self.sound = BagSound(bag, topic, sample_rate_hz)
        where = self.sound.where
        stamps: list[int] = []
        firsts: list[int] = []
        clock: list[int] = []
        dtype: Any = None
        begin = 0  # position of the stream's first sample in the file
        with scratch.open('wb') as file:
            for place, block in self.sound.blocks():
                dtype = block.samples.dtype
                silence = place.lost
                if place.restarted and len(stamps) == 1:  # a single block with a stray stamp
                    file.seek(0)
                    file.truncate()
                    stamps, firsts, clock = [], [], []
                    begin = self.samples = 0
                elif place.restarted:
                    back = place.stamp_ns < stamps[-1]
                    jump = 'go back' if back else 'leap'
                    seconds = self.samples / sample_rate_hz
                    self.note = f'{where}: stamps {jump} after {seconds:.1f} s'
                    if back:
                        self.note += ', the rest is left out'
                        break
                    silence, begin = 1, self.samples + 1  # a one-sample gap that no clip may cross
                if silence:
                    self.gaps.append((self.samples, silence))
                    file.write(bytes(silence * MICROPHONES * dtype.itemsize))
                block.samples.tofile(file)
                first = begin + place.first_sample
                self.samples = first + len(block)
                stamps.append(place.stamp_ns)
                firsts.append(first)
                clock.append(block.received_ns - place.stamp_ns)
        if self.sound.other_hz is not None:
            # The change began somewhere within the measured seconds, so they are left out as well.
            sure = self.samples - round(WATCH_S * sample_rate_hz)
            count = int(np.searchsorted(firsts, max(sure, 0)))
            self.samples = firsts[count] if count < len(firsts) else self.samples
            del stamps[count:], firsts[count:], clock[count:]
            after = f'{where}: after {self.samples / sample_rate_hz:.1f} s'
            self.note = other_rate(after, self.sound.other_hz, sample_rate_hz)
        if not stamps:
            raise AvdetError(f'{where}: expected sound, found none that is whole')
        self.clock_ns = np.array(clock, np.int64)
        self._stamps = np.array(stamps, np.int64)
        self._firsts = np.array(firsts, np.int64)
        self._sound = np.memmap(scratch, dtype, 'r', shape=(self.samples, MICROPHONES))

    @property
    def start_ns(self) -> int:
        """Stamp of the first sample."""
        return int(self._stamps[0])

    @property
    def end_ns(self) -> int:
        """Time at which the last sample ends."""
        return int(self._stamps[-1]) + round(
            (self.samples - int(self._firsts[-1])) * 1e9 / self._rate
        )

    def around(self, instant_ns: int, length_s: float) -> np.ndarray | None:
        """Return the sound centred on an instant.

        Args:
            instant_ns: on the sound's clock.
            length_s: length of the clip.

        Returns:
            (samples, 8) int16 or float32; None if any of it is missing.
        """
        count = round(length_s * self._rate)
        block = max(int(np.searchsorted(self._stamps, instant_ns, 'right')) - 1, 0)
        since_ns = instant_ns - int(self._stamps[block])
        first = int(self._firsts[block]) + round(since_ns * 1e-9 * self._rate) - count // 2
        if first < 0 or first + count > self.samples:
            return None
        if any(start < first + count and first < start + lost for start, lost in self.gaps):
            return None
        return np.array(self._sound[first : first + count])
