"""The four nodes on a sound device whose every sample is known, for fault and soak tests.

Fault injection, soak tests and the check of stamps use it. Sound server, PortAudio, processes and
DDS are the real ones; only the microphones are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from avdet_ros.audio.samples import to_int16
from avdet_ros.audio.window import HOP_S
from avdet_ros.bench.clocked_device import ClockedDevice
from avdet_ros.bench.running_graph import RunningGraph
from avdet_ros.bench.stream_losses import (
    Losses,
    identities,
    missing_samples,
    missing_windows,
)
from avdet_ros.bench.virtual_device import DEVICE
from avdet_ros.graph import NodeSpec, make_graph
from avdet_ros.rig import Rig
from avdet_ros.supervisor import command

if TYPE_CHECKING:
    from avdet_ros.nodes.graph_monitor import StampedMessage

STEADY_S = 2.0
"""Tracks are steady once they have arrived at a quarter of their rate for this long."""

DRIVE_SEED = 300_000
_DRIVE_S = 20.0


def drive_sound(rig: Rig, seed: int = DRIVE_SEED, seconds: float = _DRIVE_S) -> np.ndarray:
    """Render a simulated drive as (n, 8) int16, in the device's channel order."""
    from avdet_ros.simulation.sound import render_sound
    from avdet_ros.simulation.traffic import random_scene

    sound = render_sound(random_scene(seed, rig, seconds), 0.0, seconds).T
    channels = np.zeros_like(sound)
    channels[:, rig.channels] = sound
    return to_int16(channels)


class GraphUnderTest(RunningGraph):
    """The running graph on a device whose clock and samples are known.

    Attributes:
        device: the sound device.
        model: path of the ONNX file.
        lines: see `RunningGraph`; a node outside the graph is listed as "the other" one.
    """

    def __init__(
        self,
        sound: np.ndarray,
        model: str | Path,
        drift: float = 0.0,
        clock: bool = False,
        **launch_arguments: str,
    ) -> None:
        """Prepare the graph without starting it.

        Args:
            sound: (n, 8) int16 for the device.
            model: ONNX file.
            drift: how much slower than nominal the device's clock runs.
            clock: publish ``/clock`` and let the nodes use it.
            launch_arguments: further arguments of the graph.
        """
        arguments = {
            'source': 'device',
            'device': DEVICE,
            'hop': str(HOP_S),
            'model': str(model),
            'use_sim_time': 'true' if clock else 'false',
            'overlay': 'false',
            **launch_arguments,
        }
        self.model = str(model)
        self.device = ClockedDevice(sound, drift=drift)
        self._others: list[subprocess.Popen[str]] = []
        super().__init__(
            lambda: make_graph(arguments),
            ('spectrogram', 'tracks', 'audio'),
            environment=self.device.environment,
            clock=clock,
        )

    def _start(self, stack: ExitStack) -> None:
        stack.callback(self.device.close)
        self.device.start()
        super()._start(stack)
        stack.callback(self._end_others)

    def _end_others(self) -> None:
        for process in self._others:
            end(process)

    def settle(self) -> float:
        """Wait until tracks are steady, clear the monitor, and return `time.monotonic`."""
        self.wait_steady()
        self.monitor.clear()
        began_s = time.monotonic()
        time.sleep(1.0)
        return began_s

    def wait_steady(self) -> None:
        """Wait until tracks have been steady for `STEADY_S`."""

        def steady() -> bool:
            now_s = time.monotonic()
            newest = [entry for entry in self.monitor.tracks if entry.at_s > now_s - STEADY_S]
            return len(newest) >= 0.25 * STEADY_S / HOP_S

        self.wait(steady, 'tracks')

    def wait_tracks(self, after_s: float) -> StampedMessage:
        """Wait for the first tracks that arrive after an instant."""

        def first() -> StampedMessage | None:
            return next((entry for entry in self.monitor.tracks if entry.at_s > after_s), None)

        return self.wait(first, 'tracks')

    def start_other(
        self,
        node: str,
        namespace: str | None = None,
        remappings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> subprocess.Popen[str]:
        """Start another node outside the graph.

        Args:
            node: name of the node.
            namespace: absolute namespace; None for the graph's.
            remappings: topics by relative name.
            environment: additional environment variables.
            parameters: the node's parameters.
        """
        graph = replace(self.graph, namespace=namespace or self.graph.namespace)
        spec = NodeSpec(node, parameters, dict(remappings or {}))
        process = subprocess.Popen(
            command(spec, graph),
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            start_new_session=True,
        )
        self._others.append(process)
        name = f'the other {node}'
        threading.Thread(target=self._read, args=(name, process), daemon=True).start()
        return process

    def losses(self, since_s: float) -> Losses:
        """Return the losses since an instant, according to the messages received."""
        tracks = [entry for entry in self.monitor.tracks if entry.at_s >= since_s]
        runs = [run for run in self.monitor.sound if run.at_s >= since_s]
        return Losses(
            missing_windows([entry.stamp_ns for entry in tracks]),
            missing_samples([(run.sample, run.count) for run in runs]),
            *identities([entry.boxes for entry in tracks]),
        )

    def stamp_errors_ms(self, since_s: float) -> np.ndarray:
        """Return stamp minus true time of every run of samples since an instant, ms."""
        runs = [run for run in self.monitor.sound if run.at_s >= since_s]
        truth_s = np.array([self.device.captured_s(run.sample) for run in runs])
        return 1e3 * (np.array([run.stamp_ns for run in runs]) * 1e-9 - truth_s)

    def latency_ms(self, since_s: float) -> np.ndarray:
        """Return the latency from sound to tracks of every window since an instant, ms."""
        return np.array([ms for at_s, ms in self.monitor.latency_ms if at_s >= since_s])

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        self.lines.pop(name, None)  # of an earlier one
        assert process.stdout is not None  # set in `start_other`
        for line in process.stdout:
            self.keep_line(name, line.rstrip('\n'))
        process.stdout.close()
        self.keep_line(name, f'ended with status {process.wait()}')


def end(process: subprocess.Popen[str], patience_s: float = 20.0) -> tuple[int, float]:
    """End a process with SIGINT, and kill it if it does not end in time.

    Returns:
        Its exit status, negative for a signal, and the seconds it took.
    """
    began_s = time.monotonic()
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return process.returncode, time.monotonic() - began_s


@contextmanager
def busy_cores(first: str = '') -> Iterator[None]:
    """Keep every core busy with another process within this context.

    Args:
        first: Python code that each busy process runs first, e.g. to lower its priority.
    """
    hogs = [
        subprocess.Popen(
            [sys.executable, '-c', f'{first}\nwhile True: pass'], start_new_session=True
        )
        for _ in range(psutil.cpu_count())
    ]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
        for hog in hogs:
            hog.wait()
