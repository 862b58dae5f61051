"""Feeds a virtual device's pipe, in a process of its own: a sound card never waits.

``python -m avdet_ros.bench.clocked_feeder PIPE SOUND RATE CHANNELS ORIGIN`` writes SOUND, an .npy
file of (n, 8) int16, again and again into PIPE, CHANNELS of it, sample k when it is due: k / RATE
seconds after ORIGIN on `time.monotonic`. Each sample has its number in its lowest bits.
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
"""From one write to the next."""

PIPE_BYTES = 1 << 18
"""What the pipe holds while the server is busy: 0.37 s of sound."""

_LONGEST_WRITE_S = 1.0


def feed(pipe: str, sound: np.ndarray, rate_hz: float, channels: int, origin_s: float) -> None:
    """Write until this process ends.

    Args:
        pipe: path of a named pipe, which may not exist or be read yet.
        sound: (n, 8) int16.
        rate_hz: samples a second.
        channels: how many of the eight are written.
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
                # The pipe takes whole pages, which are whole frames; what it cannot take is lost.
                os.write(descriptor, frames.astype('<i2').tobytes())
            except BlockingIOError:
                pass
            except OSError:  # the server has gone
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
    with suppress(OSError):  # only a privileged user goes first
        os.nice(-10)
    pipe, sound, rate_hz, channels, origin_s = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        feed(pipe, np.load(sound, mmap_mode='r'), float(rate_hz), int(channels), float(origin_s))
