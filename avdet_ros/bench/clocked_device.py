"""A virtual sound device in which the true time of each sample is known.

The clock of the sound server's null sink cannot be read. Here, a pipe takes its place: a process
writes each sample when it is due according to a clock of known rate, with the sample's number in
its lowest bits. A recording thus shows which samples were lost and the error of each stamp.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from avdet_ros.bench.virtual_device import DEVICE, VirtualDevice


class ClockedDevice(VirtualDevice):
    """A private sound server with an eight-channel source that a process feeds.

    Attributes:
        origin_s: `time.time` at which sample 0 was due.
    """

    SOURCE = DEVICE

    def __init__(self, sound: np.ndarray, sample_rate_hz: int = 44100, drift: float = 0.0) -> None:
        """Prepare the device; `start` starts the feed.

        Args:
            sound: (n, 8) int16, played in a loop.
            sample_rate_hz: nominal rate.
            drift: how much slower than nominal samples arrive, e.g. 1e-4 for 100 ppm.
        """
        super().__init__(sample_rate_hz)
        self._rate_hz = sample_rate_hz / (1 + drift)
        self._pipe = self._folder / 'feed'
        self._sound = self._folder / 'sound.npy'
        np.save(self._sound, sound)
        self._feeder: subprocess.Popen[bytes] | None = None
        self._origin_s, self.origin_s = _both_clocks()

    def start(self, channels: int | None = None) -> None:
        """Start the server, see `VirtualDevice.start`, and the feed; sample numbers continue."""
        self._end_feed()
        self._pipe.unlink(
            missing_ok=True
        )  # a killed server leaves it behind, and the next one would reject it
        super().start(channels)
        arguments = [self._pipe, self._sound, self._rate_hz, self._channels, self._origin_s]
        self._feeder = subprocess.Popen(
            [sys.executable, '-m', 'avdet_ros.bench.clocked_feeder', *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def captured_s(self, sample: int | np.ndarray) -> float | np.ndarray:
        """Return the `time.time` at which a sample was due."""
        return self.origin_s + sample / self._rate_hz

    def close(self) -> None:
        """Stop the feed and the server."""
        self._end_feed()
        super().close()

    def _end_feed(self) -> None:
        if self._feeder is not None:
            self._feeder.kill()
            self._feeder.wait()
            self._feeder = None

    def _module(self) -> str:
        return (
            f'module-pipe-source source_name={DEVICE} file={self._pipe} format=s16le '
            f'rate={self._sample_rate_hz} channels={self._channels} '
            f'channel_map={self._channel_map()}'
        )


def _both_clocks() -> tuple[float, float]:
    """Return one instant by `time.monotonic` and by `time.time`.

    A busy machine may interrupt this process between the readings, so the closest of several
    attempts is used.
    """
    readings = []
    for _ in range(20):
        before_s, epoch_s, after_s = time.monotonic(), time.time(), time.monotonic()
        readings.append((after_s - before_s, before_s, epoch_s))
    _, monotonic_s, epoch_s = min(readings)
    return monotonic_s, epoch_s
