"""What a source of sound is: blocks of samples that are pulled from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param
from avdet_ros.registry import Registry
from avdet_ros.rig import MICROPHONES, Rig

BLOCK_SAMPLES = FrontEnd.hop_length
"""Samples of a block where the reader does not say how many it wants."""


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


@dataclass(frozen=True)
class StampedBlock:
    """A block together with the times of its samples.

    Attributes:
        block: the samples.
        time_ns: ROS time of a sample by its number, as far as it was known when the block came.
    """

    block: Block
    time_ns: Callable[[int], int]


class SourceLost(AvdetError):
    """A source that worked has died; opening it again may help."""


class Source(ABC):
    """Something that delivers sound; a new kind is one class in a file of its own in this folder.

    Class attributes:
        name: of the kind, as parameter ``source`` has it.
        parameters: what the kind needs; they become parameters of node capture and arguments of
            launch and `avdet run`.
        may_hang: its driver may never answer, so whoever opens it does not wait for long.
        has_truth: its instances have a `scene`.

    Attributes:
        label: what a person calls it, e.g. the device's name or the file's path.
        sample_rate_hz: rate of the blocks.
        channels: columns of the blocks.
        exhausted: whether all has been read and nothing will follow.
        lost_samples: samples lost since `start`.
        overflows: times the driver reported that samples were lost.
        bad_samples: samples that were not numbers and were set to 0.
        behind_s: how much later than real time the newest block came, of a paced source that
            makes its sound; a device is never behind.
        notice: one sentence that a person should see once, or ''.
        damage: why what it held could not all be read, in one sentence with times, or ''.
        doubt: why its channels may not be the rig's microphones, or ''.
        trouble: why its sound is not handed out although it comes, or ''.
        scene: a simulated world, whose ``labels(time_s)`` are the true boxes at sample
            time_s * sample_rate_hz; None where there is none.
    """

    name: ClassVar[str] = ''
    parameters: ClassVar[tuple[Param, ...]] = ()
    may_hang: ClassVar[bool] = False
    has_truth: ClassVar[bool] = False

    def __init__(
        self, label: str, sample_rate_hz: int, channels: int = MICROPHONES, notice: str = ''
    ) -> None:
        """Set the attributes; nothing is opened before `start`."""
        self.label, self.notice = label, notice
        self.trouble = self.damage = self.doubt = ''
        self.sample_rate_hz, self.channels = sample_rate_hz, channels
        self.exhausted = False
        self.lost_samples = self.overflows = self.bad_samples = 0
        self.behind_s = 0.0
        self.scene: Any = None

    @classmethod
    @abstractmethod
    def make(cls, rig: Rig, paced: bool, **settings: Any) -> Source:
        """An instance, not yet started.

        Args:
            rig: order of the microphones and sample rate.
            paced: in real time; else as fast as blocks are read, where the kind can.
            **settings: a value of each of `parameters`.

        Raises:
            AvdetError: a value cannot be used.
        """

    @abstractmethod
    def start(self) -> None:
        """Begin, or begin again after `stop`; sample numbers start at 0.

        Raises:
            AvdetError: it cannot be opened; the message says why.
        """

    @abstractmethod
    def read(self, timeout_s: float, samples: int = BLOCK_SAMPLES) -> Block | None:
        """Wait for the next block.

        Args:
            timeout_s: longest wait.
            samples: how many are wanted at once: the fewer, the more often the reader is woken.
                A source that may choose gives no more, and fewer only where sound ends or is
                missing. A device waits until it has so many and then gives whole blocks.

        Returns:
            The block, or None when there is none yet or the source is exhausted.

        Raises:
            SourceLost: the source has died.
        """

    @abstractmethod
    def stop(self) -> None:
        """End; no harm if it never began."""


SOURCES: Registry[Source] = Registry('source', 'avdet_ros.sources')
"""Every kind of source."""
