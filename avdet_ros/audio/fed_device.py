"""A virtual device that is fed sample by sample, so that the truth about each sample is known.

The sound server's null sink has a clock of its own that nobody can read. Here a pipe takes its
place: this process writes each sample when it is due by a clock of known rate, with its number in
its lowest bits. Whoever listens can tell which samples were lost and how wrong a stamp is.
"""

from __future__ import annotations

from contextlib import suppress
import fcntl
import os
import threading
import time

import numpy as np

from avdet_ros.audio.virtual_device import DEVICE, VirtualDevice
from avdet_ros.audio.watermark import mark

PACE_S = 0.004
"""From one write to the next."""

PIPE_BYTES = 1 << 18
"""What the pipe holds while the server is busy: 0.37 s of sound."""

_LONGEST_WRITE_S = 1.0


class FedDevice(VirtualDevice):
    """A private sound server whose eight-channel source this process feeds.

    Attributes:
        origin_s: `time.time` at which sample 0 was due.
        missed: samples that the pipe could not take.
    """

    SOURCE = DEVICE

    def __init__(self, sound: np.ndarray, sample_rate_hz: int = 44100, drift: float = 0.0) -> None:
        """Prepare; `start` begins to feed.

        Args:
            sound: (n, 8) int16 that is played for ever.
            sample_rate_hz: nominal rate.
            drift: how much slower than that samples come, e.g. 1e-4 for 100 ppm.
        """
        super().__init__(sample_rate_hz)
        self._sound = sound
        self._rate_hz = sample_rate_hz / (1 + drift)
        self._pipe = self._folder / 'feed'
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._feed, name='feed', daemon=True)
        self.origin_s = 0.0
        self.missed = 0

    def start(self, channels: int | None = None) -> None:
        """Start the server, see `VirtualDevice.start`, and the feed; it goes on when that dies."""
        self._pipe.unlink(missing_ok=True)  # a killed server leaves it, and the next wants none
        super().start(channels)
        if self._thread.ident is None:
            self._thread.start()

    def captured_s(self, sample: int | np.ndarray) -> float | np.ndarray:
        """`time.time` at which a sample was due."""
        return self.origin_s + sample / self._rate_hz

    def close(self) -> None:
        """End feed and server."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(5)
        super().close()

    def _module(self) -> str:
        return (
            f'module-pipe-source source_name={DEVICE} file={self._pipe} format=s16le '
            f'rate={self._sample_rate_hz} channels={self._channels} '
            f'channel_map={self._channel_map()}'
        )

    def _feed(self) -> None:
        start_s = time.monotonic()
        self.origin_s = time.time() - (time.monotonic() - start_s)
        sent = 0
        descriptor = None
        try:
            while not self._ending.wait(PACE_S):
                due = int((time.monotonic() - start_s) * self._rate_hz)
                fewest = due - round(_LONGEST_WRITE_S * self._rate_hz)
                if sent < fewest:  # this process itself was stopped
                    self.missed += fewest - sent
                    sent = fewest
                descriptor = self._open() if descriptor is None else descriptor
                if descriptor is not None:
                    descriptor = self._write(descriptor, sent, due)
                sent = due
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _write(self, descriptor: int, first: int, end: int) -> int | None:
        places = np.arange(first, end) % len(self._sound)
        frames = mark(self._sound[places], first)[:, : self._channels]
        try:
            # The pipe takes whole pages, which are whole frames.
            written = os.write(descriptor, frames.astype('<i2').tobytes())
        except BlockingIOError:
            written = 0
        except OSError:  # the server has gone
            os.close(descriptor)
            return None
        self.missed += end - first - written // (2 * self._channels)
        return descriptor

    def _open(self) -> int | None:
        try:
            descriptor = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # no server reads it yet
            return None
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return descriptor
