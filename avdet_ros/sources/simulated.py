"""A simulated drive as a source, rendered or read slightly ahead of its playback."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path
import queue
import threading
import time
from typing import Any

import numpy as np

from avdet_ros.fields import Param
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.sources.base import BLOCK_SAMPLES, SOURCES, Block, Source, SourceLost
from avdet_ros.sources.render_process import SOUND, start_renderer

DEMO_SEED = 300_008
"""Default simulated drive for demonstrations. Seeds from 300000 on are for this purpose; this is
the first one with two or more vehicles in view on average, and always at least one."""

AHEAD_CHUNKS = 8
"""How many chunks the renderer may run ahead."""


@SOURCES.register
class SimulationSource(Source):
    """Renders the drive of a seed, or reads a written one, in its own process; see `Source`.

    In a thread, rendering would delay the features of windows computed at the same time. Since the
    process runs ahead, it has a low priority.

    Attributes:
        scene: the drive; None for a written drive whose world cannot be reconstructed.
    """

    name = 'simulation'
    parameters = (
        Param(
            'seed', DEMO_SEED, 'seed of the simulated drive, for source simulation', 0, 2**31 - 1
        ),
        Param('duration_s', 30.0, 'length of the simulated drive, seconds', 2, 86400),
        Param(
            'drive',
            '',
            'folder of one drive written by avdet sim drives, played instead of seed and duration',
        ),
    )
    has_truth = True

    def __init__(
        self,
        rig: Rig,
        seed: int,
        duration_s: float,
        *,
        drive: str | Path | None = None,
        paced: bool = True,
    ) -> None:
        """Draw the drive; nothing is rendered yet.

        Args:
            rig: the ego vehicle's rig.
            seed: seed of the drive.
            duration_s: length of the drive.
            drive: folder of a drive written by `avdet sim drives`, instead of seed and length.
            paced: deliver blocks in real time; otherwise as fast as they are rendered.

        Raises:
            AvdetError: the length is out of range, or the folder contains no drive of this rig.
        """
        from avdet_ros.simulation.live import drawn_drive, written_drive

        live = written_drive(drive, rig) if drive else drawn_drive(seed, rig, duration_s)
        super().__init__(live.name, rig.sample_rate_hz, notice=live.notice)
        self.scene, self._recorded = live.scene, live.sound
        self._total = round(live.duration_s * rig.sample_rate_hz)
        self._paced = paced
        self._thread: threading.Thread | None = None

    @classmethod
    def make(cls, rig: Rig, paced: bool, **settings: Any) -> SimulationSource:
        """See `Source.make`."""
        return cls(
            rig,
            settings['seed'],
            settings['duration_s'],
            drive=settings['drive'] or None,
            paced=paced,
        )

    def start(self) -> None:
        """Start rendering; time starts with the first chunk, see `Source.start`."""
        self.stop()
        self.exhausted = False
        self._next_sample = 0
        self._chunk = np.empty((0, MICROPHONES), np.float32)
        self._chunks: queue.Queue[np.ndarray | Exception | None] = queue.Queue(AHEAD_CHUNKS)
        self._ending = threading.Event()
        self._started_s: float | None = None
        self._process, ours = start_renderer(
            self._recorded or self.scene, self._total, self.sample_rate_hz
        )
        self._thread = threading.Thread(target=self._fetch, args=(ours,), daemon=True)
        self._thread.start()

    def read(self, timeout_s: float, samples: int = BLOCK_SAMPLES) -> Block | None:
        """Return the next block, see `Source.read`."""
        deadline = time.monotonic() + timeout_s
        if self._thread is None or self.exhausted:
            return None
        if len(self._chunk) == 0 and not self._next_chunk(timeout_s):
            return None
        if self._started_s is None:
            self._started_s = time.monotonic()
        sound = self._chunk[:samples]
        if self._paced:
            due_s = self._started_s + (self._next_sample + len(sound)) / self.sample_rate_hz
            now_s = time.monotonic()
            if due_s > now_s:
                time.sleep(max(0.0, min(due_s, deadline) - now_s))
            if due_s > max(now_s, deadline):
                return None
            self.behind_s = max(now_s - due_s, 0.0)
        self._chunk = self._chunk[len(sound) :]
        first_sample = self._next_sample
        self._next_sample += len(sound)
        time_s = self._started_s + first_sample / self.sample_rate_hz
        return Block(sound, first_sample, time_s)

    def stop(self) -> None:
        """End the renderer, see `Source.stop`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending.set()
            self._process.kill()
            thread.join()
            self._process.wait()

    def _next_chunk(self, timeout_s: float) -> bool:
        try:
            chunk = self._chunks.get(timeout=max(timeout_s, 1e-3))
        except queue.Empty:
            return False
        if isinstance(chunk, Exception) and self._next_sample:
            # Starting it again would repeat the sound already delivered.
            at_s = self._next_sample / self.sample_rate_hz
            self.damage = f'{self.label} ended after {at_s:.1f} s: the renderer failed: {chunk}'
            self.exhausted = True
            return False
        if isinstance(chunk, Exception):
            raise SourceLost(f'{self.label}: the renderer failed: {chunk}') from chunk
        if chunk is None:
            self.exhausted = True
            return False
        self._chunk = chunk
        return True

    def _fetch(self, renderer: Connection) -> None:
        """Run the thread that moves chunks from the process to the reader."""
        wanted = True
        while wanted:
            try:
                data = renderer.recv_bytes()
            except (EOFError, OSError):
                status = self._process.wait()
                self._put(RuntimeError(f'its process ended with status {status}'))
                break
            if data[:1] == SOUND:
                samples = np.frombuffer(data, np.float32, offset=4).reshape(-1, MICROPHONES)
                wanted = self._put(samples)
                continue
            self._put(RuntimeError(data[1:].decode()) if len(data) > 1 else None)
            break
        renderer.close()

    def _put(self, item: np.ndarray | Exception | None) -> bool:
        """Hand over a chunk; return False if the source was stopped."""
        while not self._ending.is_set():
            try:
                self._chunks.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
