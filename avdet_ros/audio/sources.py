"""Where sound comes from: one small pull interface over devices, files and the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig

DEMO_SEED = 300_008
"""The simulated drive that is shown where none is named. Drives from 300000 on are for this;
this is the first of them with two or more vehicles in view on average, and never none."""

KINDS = ('device', 'file', 'simulation')
"""What `make_source` can make."""


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


def make_source(
    kind: str,
    rig: Rig,
    *,
    device: str | int | None = None,
    path: str | Path | None = None,
    loop: bool = False,
    paced: bool = True,
    seed: int = DEMO_SEED,
    duration_s: float = 60.0,
    drive: str | Path | None = None,
) -> Source:
    """Make a source by its kind; nothing is opened before its `start`.

    Args:
        kind: one of `KINDS`.
        rig: order of the microphones and sample rate.
        device: for ``device``: index, exact name or part of a name; None or '' takes the
            system's default input.
        path: for ``file``: a sound file of eight channels.
        loop: for ``file``: begin again at its end.
        paced: for ``file`` and ``simulation``: in real time; else as fast as it is read.
        seed: for ``simulation``: which drive.
        duration_s: for ``simulation``: its length.
        drive: for ``simulation``: folder of a drive that was written, in place of seed and length.

    Raises:
        AvdetError: the kind is unknown, or what it needs is missing.
    """
    if kind == 'device':
        from avdet_ros.audio.device import DeviceSource

        return DeviceSource(rig, device)
    if kind == 'file':
        from avdet_ros.audio.file import FileSource

        if not path:
            raise AvdetError('source file: expected the path of a sound file, found none')
        return FileSource(path, rig.sample_rate_hz, loop=loop, paced=paced)
    if kind == 'simulation':
        from avdet_ros.audio.simulation import SimulationSource

        return SimulationSource(rig, seed, duration_s, drive=drive, paced=paced)
    raise AvdetError(f'source: expected one of {", ".join(KINDS)}, found {kind!r}')
