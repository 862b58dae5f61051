"""Read the sound of a bag block by block, each with its place; all readers of sound use this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from avdet_ros.audio.sound_rate import (
    MEASURE_S,
    SURE_S,
    WATCH_S,
    RateWatch,
    measure_rate,
    other_rate,
)
from avdet_ros.bags.left_out import LeftOut
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import decode_sound, stamp_ns
from avdet_ros.messages.stream import Place, StampedBlocks

_MOST_UNSTAMPED = 4096


@dataclass(frozen=True, eq=False)
class SoundBlock:
    """A block of sound.

    Attributes:
        samples: (n, 8) int16, or finite float32 in [-1, 1].
        received_ns: when the recorder received it.
    """

    samples: np.ndarray
    received_ns: int

    def __len__(self) -> int:
        return len(self.samples)


class BagSound:
    """The sound of one topic.

    A message that is not sound is left out, and its samples count as lost. Samples that are not
    numbers become 0. A block with a wrong stamp is placed between its neighbours.

    Attributes:
        where: bag and topic, for messages.
        left_out: messages that are not sound.
        bad_samples: number of samples that are not numbers.
        wrong_stamps: number of blocks with a wrong stamp.
        other_hz: sample rate to which the sound changed where `blocks` ended, else None.
    """

    def __init__(self, bag: Bag, topic: str, sample_rate_hz: int) -> None:
        """Check the first messages.

        Raises:
            AvdetError: the topic contains no stamped eight-channel sound, or its sample rate is
                certainly another.
        """
        self.where = f'bag {bag.path}: {topic}'
        self._bag, self._topic, self._rate = bag, topic, sample_rate_hz
        self.other_hz: float | None = None
        self._begin()
        self._check_rate()

    @property
    def notes(self) -> dict[str, int]:
        """Counts of the defects found, by description."""
        found = {
            'messages that are not sound': self.left_out.bad,
            'samples that are not numbers': self.bad_samples,
            'blocks with a wrong stamp': self.wrong_stamps,
        }
        return {words: count for words, count in found.items() if count}

    def blocks(self) -> Iterator[tuple[Place, SoundBlock]]:
        """Yield all blocks in order with their places, up to a change of the sample rate.

        Raises:
            AvdetError: most messages are not sound.
        """
        self._begin()
        placed: StampedBlocks[SoundBlock] = StampedBlocks(self._rate)
        watch = RateWatch(self._rate)
        dtype = None
        for stamp, block in self._valid_blocks():
            if stamp <= 0 and not placed.begun:
                self._refuse(f'{self.where}: expected stamps in the headers, found {stamp}')
                continue
            dtype = dtype or block.samples.dtype
            if block.samples.dtype != dtype:
                found = block.samples.dtype
                self._refuse(f'{self.where}: expected {dtype} as before, found {found}')
                continue
            if not watch.add(stamp, len(block)):
                self.other_hz = watch.other_hz
                if watch.other_s > SURE_S:
                    break
                continue
            self.other_hz = None
            yield from placed.add(stamp, block)
            self.wrong_stamps = placed.wrong_stamps
        yield from placed.flush()
        self.wrong_stamps = placed.wrong_stamps
        self.left_out.check()

    def _begin(self) -> None:
        self.left_out = LeftOut(self.where)
        self.bad_samples = self.wrong_stamps = 0
        self.other_hz = None

    def _refuse(self, sentence: str) -> None:
        self.left_out.good -= 1
        self.left_out.add(sentence)

    def _valid_blocks(self) -> Iterator[tuple[int, SoundBlock]]:
        for message in self._bag.messages([self._topic]):
            try:
                decoded = decode(message)
                samples = decode_sound(decoded, self.where)
            except AvdetError as error:
                text = str(error)
                inside = text.startswith('bag ')
                self.left_out.add(text if inside else f'bag {self._bag.path}: {text}')
                continue
            if samples.dtype != np.int16:
                bad = ~np.isfinite(samples)
                if bad.any():
                    self.bad_samples += int(bad.sum())
                    samples = np.where(bad, np.float32(0), samples)
            self.left_out.good += 1
            yield stamp_ns(decoded), SoundBlock(samples, message.stamp_ns)

    def _check_rate(self) -> None:
        """Compare stamps with sample counts; a wrong rate would shift every frequency."""
        stamps: list[int] = []
        counts: list[int] = []
        read = early_blocks = unstamped = 0
        for stamp, block in self._valid_blocks():
            if stamp <= 0:
                unstamped += 1
                if unstamped > _MOST_UNSTAMPED and not stamps:
                    break
                continue
            stamps.append(stamp)
            counts.append(len(block))
            read += len(block)
            early_blocks += read <= WATCH_S * self._rate
            if read > MEASURE_S * self._rate:
                break
        if not stamps:
            self.left_out.check()
            found = '0' if unstamped else 'none that is whole'
            raise AvdetError(f'{self.where}: expected stamps in the headers, found {found}')
        measured = measure_rate(stamps, counts)
        if measured is None or not measured.is_other(self._rate):
            return
        begins = measure_rate(stamps[:early_blocks], counts[:early_blocks])
        # A recording that begins at the right rate is read up to the change.
        if begins is None or not begins.is_certainly(self._rate):
            raise AvdetError(other_rate(self.where, measured.hz, self._rate))
