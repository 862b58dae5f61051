"""The interface of a sound source: the reader pulls blocks of samples from it."""

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
"""Default number of samples per block."""


@dataclass(frozen=True)
class Block:
    """Consecutive samples of all eight microphones.

    Attributes:
        samples: (n, 8) int16 with full scale 32768, or float32 in [-1, 1]; columns in the order
            of the rig's microphones.
        first_sample: number of the first sample since the source was started, including lost ones.
        time_s: time at which the first sample was captured, on the clock of `time.monotonic`; the
            reading may be late but never early, see `avdet_ros.audio.clock`.
        lost: number of samples lost between the previous block and this one.
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
        time_ns: maps a sample's number to its ROS time, as estimated when the block arrived.
    """

    block: Block
    time_ns: Callable[[int], int]


class SourceLost(AvdetError):
    """A source has died after working; opening it again may help."""


class Source(ABC):
    """A source of sound; each kind is one class in its own file in this folder.

    Class attributes:
        name: name of the kind, a value of parameter ``source``.
        parameters: settings of the kind; they become parameters of node capture and arguments of
            launch and `avdet run`.
        may_hang: whether its driver may never answer, so that callers wait only a limited time.
        has_truth: whether its instances have a `scene`.

    Attributes:
        label: readable name, e.g. the device's name or the file's path.
        sample_rate_hz: sample rate of the blocks.
        channels: columns of the blocks.
        exhausted: whether everything has been read and nothing will follow.
        lost_samples: number of samples lost since `start`.
        overflows: how often the driver reported lost samples.
        bad_samples: number of samples that were not finite and were set to 0.
        behind_s: delay of the newest block against real time, for a paced source that generates
            its sound; a device is never behind.
        notice: one sentence that the user should see once, or ''.
        damage: one sentence with times that says what could not be read, or ''.
        doubt: why its channels may not be the rig's microphones, or ''.
        trouble: why it withholds sound although sound arrives, or ''.
        scene: a simulated world, whose ``labels(time_s)`` are the true boxes at sample
            time_s * sample_rate_hz; None if there is none.
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
        """Make an instance, not yet started.

        Args:
            rig: rig with the order of the microphones and the sample rate.
            paced: deliver in real time; otherwise as fast as blocks are read, if the kind can.
            **settings: a value for each of `parameters`.

        Raises:
            AvdetError: a value cannot be used.
        """

    @abstractmethod
    def start(self) -> None:
        """Start, or start again after `stop`; sample numbers start at 0.

        Raises:
            AvdetError: the source cannot be opened; the message says why.
        """

    @abstractmethod
    def read(self, timeout_s: float, samples: int = BLOCK_SAMPLES) -> Block | None:
        """Wait for the next block.

        Args:
            timeout_s: longest wait.
            samples: number of samples wanted; the fewer, the more often the reader is woken.
                A source that can choose returns no more, and fewer only where sound ends or is
                missing. A device waits until it has this number and then returns whole blocks.

        Returns:
            The block; None if there is none yet or the source is exhausted.

        Raises:
            SourceLost: the source has died.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop; does nothing if the source was never started."""


SOURCES: Registry[Source] = Registry('source', 'avdet_ros.sources')
"""Every kind of source."""
