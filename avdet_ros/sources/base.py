"""What a source of sound is: blocks of samples that are pulled from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from avdet_ros.errors import AvdetError


@dataclass(frozen=True)
class Block:
    """Consecutive samples of all eight microphones.

    Attributes:
        samples: (n, 8) int16 with full scale 32768, or float32 in [-1, 1]; columns in the order
            of the rig's microphones.
        first_sample: number of the first sample since the source was started; lost samples count.
        time_s: when the first sample was captured, on the clock of `time.monotonic`; a reading
            that may be late but never early, see `avdet_ros.audio.clock`.
        lost: samples lost between the block before and this one.
    """

    samples: np.ndarray
    first_sample: int
    time_s: float
    lost: int = 0


class SourceLost(AvdetError):
    """A source that worked has died; opening it again may help."""


class Source(Protocol):
    """Something that gives sound.

    Attributes:
        name: what a person calls it.
        sample_rate_hz: rate of the blocks.
        channels: columns of the blocks.
        exhausted: whether all has been read and nothing will follow.
        lost_samples: samples lost since `start`.
        overflows: times the source said that it lost samples.
        bad_samples: samples that were not numbers and were set to 0.
    """

    name: str
    sample_rate_hz: int
    channels: int
    exhausted: bool
    lost_samples: int
    overflows: int
    bad_samples: int

    def start(self) -> None:
        """Begin, or begin anew after `stop`; sample numbers start at 0.

        Raises:
            AvdetError: it cannot be opened; the message says why.
        """

    def read(self, timeout_s: float) -> Block | None:
        """Wait for the next block.

        Args:
            timeout_s: longest wait.

        Returns:
            The block, or None when there is none yet or the source is exhausted.

        Raises:
            SourceLost: the source has died.
        """

    def stop(self) -> None:
        """End; no harm if it never began."""
