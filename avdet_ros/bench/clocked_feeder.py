"""Feed a virtual device's pipe from a separate process, since a sound card never waits.

``python -m avdet_ros.bench.clocked_feeder PIPE SOUND RATE CHANNELS ORIGIN`` writes the first
CHANNELS channels of SOUND, an .npy file of (n, 8) int16, into PIPE in a loop. Sample k is written
when it is due: k / RATE seconds after ORIGIN on `time.monotonic`. Each sample has its number in
its lowest bits.
"""

from __future__ import annotations

from contextlib import suppress
import fcntl
import os
import sys
import time

import numpy as np

from avdet_ros.audio.watermark import mark

PACE_S = 0.004
"""Interval between writes."""

PIPE_BYTES = 1 << 18
"""Capacity of the pipe, for while the server is busy: 0.37 s of sound."""

_LONGEST_WRITE_S = 1.0


def feed(pipe: str, sound: np.ndarray, rate_hz: float, channels: int, origin_s: float) -> None:
    """Write samples until this process ends.

    Args:
        pipe: path of a named pipe; it need not exist or have a reader yet.
        sound: (n, 8) int16.
        rate_hz: samples per second.
        channels: number of channels to write, at most eight.
        origin_s: `time.monotonic` at which sample 0 is due.
    """
    longest = round(_LONGEST_WRITE_S * rate_hz)
    sent = int((time.monotonic() - origin_s) * rate_hz)
    descriptor = None
    while True:
        time.sleep(PACE_S)
        due = int((time.monotonic() - origin_s) * rate_hz)
        sent = max(sent, due - longest)
        descriptor = _open(pipe) if descriptor is None else descriptor
        if descriptor is not None:
            places = np.arange(sent, due) % len(sound)
            frames = mark(sound[places], sent)[:, :channels]
            try:
                # The pipe takes whole pages, which are whole frames; when full, the rest is lost.
                os.write(descriptor, frames.astype('<i2').tobytes())
            except BlockingIOError:
                pass
            except OSError:  # the server has ended
                os.close(descriptor)
                descriptor = None
        sent = due


def _open(pipe: str) -> int | None:
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # no server reads it yet
        return None
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return descriptor


if __name__ == '__main__':
    with suppress(OSError):  # only a privileged user may raise the priority
        os.nice(-10)
    pipe, sound, rate_hz, channels, origin_s = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        feed(pipe, np.load(sound, mmap_mode='r'), float(rate_hz), int(channels), float(origin_s))
