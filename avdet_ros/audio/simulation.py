"""A simulated drive as a source: rendered a little ahead of the moment it is heard."""

from __future__ import annotations

import queue
import threading
import time

import numpy as np

from avdet_ros.audio.sources import Block, SourceLost
from avdet_ros.rig import MICROPHONES, Rig

CHUNK_S = 0.25
"""Sound rendered at a time."""

AHEAD_CHUNKS = 8
"""How far the renderer may run ahead."""

BLOCK_S = 0.01
"""Length of the blocks that are read; half of it is how late a window's end comes."""


class SimulationSource:
    """Renders the drive of a seed in a thread of its own, see `Source`.

    Attributes:
        scene: the drive; its truth at time t belongs to sample t * sample_rate_hz.
    """

    channels = MICROPHONES

    def __init__(self, rig: Rig, seed: int, duration_s: float, *, paced: bool = True) -> None:
        """Draw the drive; nothing is rendered yet.

        Args:
            rig: the vehicle that listens.
            seed: which drive.
            duration_s: its length.
            paced: hand out blocks in real time; else as fast as they are rendered.

        Raises:
            AvdetError: no drive can be so short or long.
        """
        from avdet_ros.simulation.traffic import random_scene

        self.name = f'simulation {seed}'
        self.sample_rate_hz = rig.sample_rate_hz
        self.lost_samples = self.overflows = self.bad_samples = 0
        self.exhausted = False
        self.scene = random_scene(seed, rig, duration_s)
        self._total = round(duration_s * rig.sample_rate_hz)
        self._paced = paced
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin rendering; time runs once the first chunk is there, see `Source.start`."""
        self.stop()
        self.exhausted = False
        self._next_sample = 0
        self._chunk = np.empty((0, MICROPHONES), np.float32)
        self._chunks: queue.Queue[np.ndarray | Exception | None] = queue.Queue(AHEAD_CHUNKS)
        self._ending = threading.Event()
        self._started_s: float | None = None
        self._thread = threading.Thread(target=self._render, name='renderer', daemon=True)
        self._thread.start()

    def read(self, timeout_s: float) -> Block | None:
        """The next block, see `Source.read`."""
        deadline = time.monotonic() + timeout_s
        if self._thread is None or self.exhausted:
            return None
        if len(self._chunk) == 0 and not self._next_chunk(timeout_s):
            return None
        if self._started_s is None:
            self._started_s = time.monotonic()
        samples = self._chunk[: round(BLOCK_S * self.sample_rate_hz)]
        if self._paced:
            due_s = self._started_s + (self._next_sample + len(samples)) / self.sample_rate_hz
            now_s = time.monotonic()
            if due_s > now_s:
                time.sleep(max(0.0, min(due_s, deadline) - now_s))
            if due_s > max(now_s, deadline):
                return None
        self._chunk = self._chunk[len(samples) :]
        first_sample = self._next_sample
        self._next_sample += len(samples)
        time_s = self._started_s + first_sample / self.sample_rate_hz
        return Block(samples, first_sample, time_s)

    def stop(self) -> None:
        """End the renderer, see `Source.stop`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending.set()
            thread.join()

    def _next_chunk(self, timeout_s: float) -> bool:
        try:
            chunk = self._chunks.get(timeout=max(timeout_s, 1e-3))
        except queue.Empty:
            return False
        if isinstance(chunk, Exception):
            raise SourceLost(f'{self.name}: the renderer failed: {chunk}') from chunk
        if chunk is None:
            self.exhausted = True
            return False
        self._chunk = chunk
        return True

    def _render(self) -> None:
        from avdet_ros.simulation.sound import render_sound

        step = round(CHUNK_S * self.sample_rate_hz)
        try:
            for start in range(0, self._total, step):
                count = min(step, self._total - start)
                rate = self.sample_rate_hz
                sound = render_sound(self.scene, start / rate, count / rate)
                if not self._put(np.ascontiguousarray(sound.T, np.float32)):
                    return
            self._put(None)
        except Exception as error:  # the reader must hear of it, whatever it is
            self._put(error)

    def _put(self, item: np.ndarray | Exception | None) -> bool:
        """Hand a chunk over; False when nobody wants it any more."""
        while not self._ending.is_set():
            try:
                self._chunks.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
