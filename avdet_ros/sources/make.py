"""Make a source of sound by its name."""

from __future__ import annotations

from pathlib import Path

from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig
from avdet_ros.sources.base import Source

DEMO_SEED = 300_008
"""The simulated drive that is shown where none is named. Drives from 300000 on are for this;
this is the first of them with two or more vehicles in view on average, and never none."""

KINDS = ('device', 'file', 'simulation')
"""What `make_source` can make."""


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
        from avdet_ros.sources.device import DeviceSource

        return DeviceSource(rig, device)
    if kind == 'file':
        from avdet_ros.sources.file import FileSource

        if not path:
            raise AvdetError('source file: expected the path of a sound file, found none')
        return FileSource(path, rig.sample_rate_hz, loop=loop, paced=paced)
    if kind == 'simulation':
        from avdet_ros.sources.simulated import SimulationSource

        return SimulationSource(rig, seed, duration_s, drive=drive, paced=paced)
    raise AvdetError(f'source: expected one of {", ".join(KINDS)}, found {kind!r}')
