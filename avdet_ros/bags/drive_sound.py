"""A whole drive's sound on disk, so that the second around any instant can be cut out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.audio.sound_rate import SURE_S, WATCH_S, RateWatch, other_rate
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import decode_sound, stamp_ns
from avdet_ros.messages.stream import StampedBlocks
from avdet_ros.rig import MICROPHONES

LONGEST_GAP_S = 600.0
"""After a longer silence the rest is another drive."""


class DriveSound:
    """The sound of one bag.

    Attributes:
        gaps: lost pieces, (first sample, samples).
        samples: length of the drive, gaps included.
        note: why the sound ends before the bag does, or None.
        clock_ns: (B,) int64, receive time less stamp of each block.
    """

    def __init__(self, bag: Bag, topic: str, sample_rate_hz: int, scratch: Path) -> None:
        """Copy the sound out of a bag.

        Args:
            bag: the recording.
            topic: its sound.
            sample_rate_hz: the rig's.
            scratch: file to use; the caller removes it.

        Raises:
            AvdetError: a message is not sound of eight channels with a stamp.
        """
        self._rate = sample_rate_hz
        self.gaps: list[tuple[int, int]] = []
        self.note: str | None = None
        self.samples = 0
        stamps, firsts, clock = [], [], []
        blocks, watch = StampedBlocks(sample_rate_hz), RateWatch(sample_rate_hz)
        where = f'bag {bag.path}: {topic}'
        dtype: Any = None
        with scratch.open('wb') as file:
            for message in bag.messages([topic]):
                decoded = decode(message)
                block = decode_sound(decoded, where)
                now = stamp_ns(decoded)
                if now <= 0:
                    raise AvdetError(f'{where}: expected stamps in the headers, found {now}')
                dtype = dtype or block.dtype
                if block.dtype != dtype:
                    raise AvdetError(f'{where}: expected {dtype} as before, found {block.dtype}')
                watch.add(now, len(block))
                if watch.other_s > SURE_S:
                    break
                place = blocks.place(now, len(block))
                if place.restarted or place.lost > LONGEST_GAP_S * sample_rate_hz:
                    what = 'go back' if place.restarted else 'leap'
                    seconds = self.samples / sample_rate_hz
                    self.note = f'{where}: stamps {what} after {seconds:.1f} s, the rest is left'
                    break
                if place.lost:
                    self.gaps.append((place.first_sample - place.lost, place.lost))
                    file.write(bytes(place.lost * MICROPHONES * dtype.itemsize))
                block.tofile(file)
                self.samples = place.first_sample + len(block)
                stamps.append(now)
                firsts.append(place.first_sample)
                clock.append(message.stamp_ns - now)
        if watch.other_hz is not None:
            # It began somewhere in what was measured, so that is left out as well.
            whole = self.samples - round((WATCH_S + watch.other_s) * sample_rate_hz)
            kept = int(np.searchsorted(firsts, max(whole, 0)))
            self.samples = firsts[kept] if kept < len(firsts) else self.samples
            del stamps[kept:], firsts[kept:], clock[kept:]
            after = f'{where}: after {self.samples / sample_rate_hz:.1f} s'
            self.note = other_rate(after, watch.other_hz, sample_rate_hz)
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
        """Time of the end of the last sample."""
        return int(self._stamps[-1]) + round(
            (self.samples - int(self._firsts[-1])) * 1e9 / self._rate
        )

    def around(self, instant_ns: int, length_s: float) -> np.ndarray | None:
        """The sound centred on an instant.

        Args:
            instant_ns: on the sound's clock.
            length_s: how much.

        Returns:
            (samples, 8) int16 or float32; None where the drive does not have it all.
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
