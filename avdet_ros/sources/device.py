"""A sound card as a source, through PortAudio.

The callback runs in PortAudio's thread and must finish before the card's buffer is full. So it
only copies samples into preallocated memory and wakes the reader. It waits for no lock, allocates
nothing and makes no decisions. Everything else happens in `read`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
import threading
import time
from typing import Any

import numpy as np

from avdet_ros.audio.dropouts import LossFinder
from avdet_ros.audio.sound_rate import ArrivalRate, nearest_rate
from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param
from avdet_ros.quoting import one_line
from avdet_ros.rig import Rig
from avdet_ros.sources.base import BLOCK_SAMPLES, SOURCES, Block, Source, SourceLost
from avdet_ros.sources.channel_map import arrange
from avdet_ros.sources.device_list import (
    Device,
    find_device,
    open_streams,
    port_audio,
    rescan,
)

LATENCY_S = 0.08
"""Buffering requested from PortAudio: enough for scheduling delays, with a delivery about every
20 ms. docs/latency.md shows the effect of smaller values."""

RING_S = 4.0
"""Amount of sound kept for a slow reader; any more counts as lost."""

FIRST_BLOCK_S = 5.0
"""Longest wait for the first block; a sound server needs up to two seconds."""

STALLED_S = 1.0
"""Time without a block after which a stream counts as dead."""

_LONGEST_LOOK_S = 0.25
_RING_BLOCKS = 4096


@SOURCES.register
class DeviceSource(Source):
    """Eight channels of a sound card, see `Source`.

    Attributes:
        overflows: how often PortAudio or this reader reported lost samples.
    """

    name = 'device'
    parameters = (
        Param(
            'device', '', 'sound device: index, name or part of a name; empty: the system default'
        ),
        Param(
            'device_latency_s',
            LATENCY_S,
            'buffer requested from the sound device, seconds; blocks last about a quarter of it',
            0.002,
            1.0,
        ),
    )
    may_hang = True

    def __init__(
        self, rig: Rig, device: str | int | None = None, latency_s: float = LATENCY_S
    ) -> None:
        """Store the settings; `start` opens the device.

        Args:
            rig: rig with the channel of each microphone and the sample rate.
            device: index, exact name or part of a name.
            latency_s: buffering to request from PortAudio.
        """
        label = f'device {device}' if device not in (None, '') else 'the default device'
        super().__init__(label, rig.sample_rate_hz, len(rig.channels))
        self._wanted = device
        self._latency_s = latency_s
        self._columns = np.asarray(rig.channels)
        self._channels, self._rig_opened = tuple(map(int, rig.channels)), rig.device_channels
        self._opened = rig.device_channels
        self._stream: Any = None
        self._ring = np.zeros((int(RING_S * rig.sample_rate_hz), self._opened), np.int16)
        self._wake = threading.Lock()

    @classmethod
    def make(cls, rig: Rig, paced: bool, **settings: Any) -> DeviceSource:
        """See `Source.make`; a device is always paced."""
        return cls(rig, settings['device'] or None, settings['device_latency_s'])

    def start(self) -> None:
        """Find and open the device; see `Source.start`."""
        self.stop()
        rescan()
        sounddevice = port_audio()
        device = find_device(self._wanted, self._rig_opened)
        self.label = device.name
        self._arrange(device)
        if device.channels < self._opened:
            raise AvdetError(
                f'sound device {device.name!r}: expected at least {self._opened} channels, '
                f'which the rig reads, found {device.channels}'
            )
        self._reset()
        try:
            self._stream = sounddevice.InputStream(
                device=device.index,
                channels=self._opened,
                samplerate=self.sample_rate_hz,
                dtype='int16',
                latency=self._latency_s,
                callback=self._callback,
            )
            open_streams.add(id(self))
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            self.stop()
            raise AvdetError(
                f'cannot open sound device {device.name!r} with {self._opened} channels at '
                f'{self.sample_rate_hz} Hz: {one_line(error)}'
            ) from error
        self._looked_s = time.monotonic()
        self._silent_s = STALLED_S - FIRST_BLOCK_S

    @property
    def latency_s(self) -> float:
        """The buffering that PortAudio reports; 0 while the device is not open."""
        return float(self._stream.latency) if self._stream is not None else 0.0

    def _arrange(self, device: Device) -> None:
        """Set up reading in the device's channel order, even if a sound server changes it."""
        arrangement = arrange(self._channels, self._rig_opened, device.name, device.host_api)
        self._columns = np.asarray(arrangement.columns)
        self.doubt = arrangement.doubt and f'sound device {device.name!r}: {arrangement.doubt}'
        self.notice = arrangement.notice and f'sound device {device.name!r}: {arrangement.notice}'
        if arrangement.opened != self._opened:
            self._opened = arrangement.opened
            self._ring = np.zeros((len(self._ring), self._opened), np.int16)

    def read(self, timeout_s: float, samples: int = BLOCK_SAMPLES) -> Block | None:
        """Return the next block, see `Source.read`: gapless blocks joined up to `samples`."""
        deadline = time.monotonic() + timeout_s
        self._enough = self._read_samples + samples
        while True:
            self._collect()
            if self.trouble:
                self._ready.clear()
            if self._ready:
                return self._joined(samples)
            if self._stream is None or not self._stream.active:
                raise SourceLost(f'sound device {self.label!r} has gone: its stream has ended')
            now = time.monotonic()
            # If this process was suspended, the device is not to blame. So the time between two
            # checks counts only up to a limit.
            self._silent_s += min(now - self._looked_s, _LONGEST_LOOK_S)
            self._looked_s = now
            if self._silent_s > STALLED_S:
                raise SourceLost(
                    f'sound device {self.label!r} has stalled: no samples for {STALLED_S:g} s'
                )
            if now >= deadline:
                return None
            # The callback wakes this thread when there is enough; the limit is for streams that
            # die without a callback.
            self._wake.acquire(timeout=min(deadline - now, 0.1))

    def stop(self) -> None:
        """Close the device, see `Source.stop`."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close(ignore_errors=True)
        open_streams.discard(id(self))

    def _reset(self) -> None:
        self.lost_samples = self.overflows = 0
        self.trouble = ''
        self._delivery = ArrivalRate(self.sample_rate_hz)
        self._finder = LossFinder(self.sample_rate_hz)
        self._next_sample = 0
        self._ready: deque[Block] = deque()
        self._waiting: list[tuple[np.ndarray, float]] = []
        # The callback writes these and `read` reads them; each counter has one writer.
        self._frames = np.zeros(_RING_BLOCKS, np.int64)
        self._arrivals = np.zeros(_RING_BLOCKS, np.float64)
        self._flags = np.zeros(_RING_BLOCKS, bool)
        self._written_blocks = self._written = self._enough = 0
        self._read_blocks: int = 0
        self._read_samples: int = 0
        self._refused = False

    def _callback(self, indata: np.ndarray, frames: int, _: object, status: Any) -> None:
        arrival_s = time.monotonic()
        size = len(self._ring)
        full = self._written - self._read_samples + frames > size
        if full or self._written_blocks - self._read_blocks >= _RING_BLOCKS:
            self._refused = True
            return
        at = self._written % size
        first = min(frames, size - at)
        self._ring[at : at + first] = indata[:first]
        self._ring[: frames - first] = indata[first:]
        slot = self._written_blocks % _RING_BLOCKS
        self._frames[slot] = frames
        self._arrivals[slot] = arrival_s
        self._flags[slot] = status.input_overflow or self._refused
        self._refused = False
        self._written += frames
        self._written_blocks += 1  # last, because the reader relies on it
        if self._written >= self._enough and self._wake.locked():
            self._wake.release()

    def _collect(self) -> None:
        """Turn the callback's data into blocks; number them once the losses are known."""
        self._wake.acquire(blocking=False)
        while self._read_blocks < self._written_blocks:
            slot = self._read_blocks % _RING_BLOCKS
            frames, arrival_s = int(self._frames[slot]), float(self._arrivals[slot])
            rows = np.arange(self._read_samples, self._read_samples + frames) % len(self._ring)
            samples = self._ring[np.ix_(rows, self._columns)]
            overflow = bool(self._flags[slot])
            self._read_samples += frames
            self._read_blocks += 1
            self._silent_s = 0.0
            self._delivery.add(arrival_s, frames, overflow)
            self.overflows += overflow
            self._waiting.append((samples, arrival_s - frames / self.sample_rate_hz))
            lost = self._finder.add(frames, arrival_s, overflow)
            if lost is not None:
                self._release(lost)

        self.trouble = ''
        if (found_hz := self._delivery.other_hz) is not None:
            self.trouble = (
                f'sound device {self.label!r}: expected {self.sample_rate_hz} samples a second '
                f'as it was opened, found about {nearest_rate(found_hz)}'
            )

    def _joined(self, samples: int) -> Block:
        """Join the blocks that are ready, up to a gap or until there are `samples`."""
        block = self._ready.popleft()
        parts, time_s, count = [block.samples], block.time_s, len(block.samples)
        while self._ready and not self._ready[0].lost and count < samples:
            following = self._ready.popleft()
            # Readings may be late but never early, so the promptest one is the best.
            time_s = min(time_s, following.time_s - count / self.sample_rate_hz)
            parts.append(following.samples)
            count += len(following.samples)
        return replace(block, samples=np.concatenate(parts), time_s=time_s)

    def _release(self, lost: int) -> None:
        self.lost_samples += lost
        self._next_sample += lost
        for samples, time_s in self._waiting:
            self._ready.append(Block(samples, self._next_sample, time_s, lost))
            self._next_sample += len(samples)
            lost = 0
        self._waiting.clear()
