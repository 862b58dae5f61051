"""A vehicle on the desk: the four nodes on a device whose every sample is known, and a witness.

Faults are injected into it, soaks run on it, stamps are checked on it. Sound server, PortAudio,
processes and DDS are the real ones; only the microphones are not there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import psutil

from avdet_ros.audio.samples import to_int16
from avdet_ros.audio.window import HOP_S
from avdet_ros.bench.clocked_device import FedDevice
from avdet_ros.bench.stream_losses import (
    Losses,
    identities,
    missing_samples,
    missing_windows,
)
from avdet_ros.bench.virtual_device import DEVICE
from avdet_ros.dds_domain import free_domain, release_domain
from avdet_ros.errors import AvdetError
from avdet_ros.graph import NodeSpec, make_graph
from avdet_ros.rig import Rig
from avdet_ros.supervisor import Supervisor, command, transport_settings

PATIENCE_S = 40.0
"""A busy machine is slow; what works is found at once."""

SETTLED_S = 2.0
LINES = 4
"""How many of a node's last lines are kept."""

DRIVE_SEED = 300_000
_DRIVE_S = 20.0


def drive_sound(rig: Rig, seed: int = DRIVE_SEED, seconds: float = _DRIVE_S) -> np.ndarray:
    """A simulated drive as (n, 8) int16, in the device's channel order."""
    from avdet_ros.simulation.sound import render_sound
    from avdet_ros.simulation.traffic import random_scene

    sound = render_sound(random_scene(seed, rig, seconds), 0.0, seconds).T
    channels = np.zeros_like(sound)
    channels[:, rig.channels] = sound
    return to_int16(channels)


class Vehicle:
    """The running graph; a context manager that ends all of it however its block ends.

    Attributes:
        device: the sound device.
        witness: what was heard on the topics.
        supervisor: the node processes.
        model: path of the ONNX file.
        lines: the last lines that each node printed, by its name; a node beside the graph is
            called "the other" one.
    """

    def __init__(
        self,
        sound: np.ndarray,
        model: str | Path,
        drift: float = 0.0,
        clock: bool = False,
        listen_to_sound: bool = True,
        **given: str,
    ) -> None:
        """Prepare; nothing is started.

        Args:
            sound: (n, 8) int16 for the device.
            model: ONNX file.
            drift: how slow the device's clock is.
            clock: publish ``/clock`` and let the nodes go by it.
            listen_to_sound: whether the witness reads topic audio.
            given: further arguments of the graph.
        """
        require_ros()
        self.lines: dict[str, deque[str]] = {}
        self.model = str(model)
        self._clock, self._listen = clock, listen_to_sound
        self._given = {
            'source': 'device',
            'device': DEVICE,
            'hop': str(HOP_S),
            'model': str(model),
            'use_sim_time': 'true' if clock else 'false',
            'overlay': 'false',
            **given,
        }
        self.device = FedDevice(sound, drift=drift)
        self._others: list[subprocess.Popen] = []
        self._ending = threading.Event()
        self.witness: Any = None

    def __enter__(self) -> Vehicle:
        self._domain = free_domain()
        ours = {
            'ROS_DOMAIN_ID': str(self._domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            **transport_settings(os.environ),
        }
        self._before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        self.environment = {**os.environ, **self.device.environment}
        self.graph = make_graph(self._given)
        self.supervisor = Supervisor(self.graph, self._hear, self.environment)
        self._tending = threading.Thread(target=self._tend, name='tend', daemon=True)
        try:
            self.device.start()
            from avdet_ros.nodes.graph_monitor import GraphMonitor

            topics = ('spectrogram', 'tracks', *(['audio'] if self._listen else []))
            self.witness = GraphMonitor(self.graph.namespace, topics)
            if self._clock:
                self.witness.begin_clock()
            self.supervisor.start()
            self._tending.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        with suppress(RuntimeError):  # it never began
            self._tending.join(10)
        for process in self._others:
            end(process)
        self.supervisor.stop()
        if self.witness is not None:
            self.witness.close()
        self.device.close()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        release_domain(self._domain)

    def wait(self, condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
        """Wait until something holds, and return it.

        Raises:
            AvdetError: it does not come to hold.
        """
        until = time.monotonic() + timeout_s
        while not (found := condition()):
            if failure := self.witness.failure:
                raise RuntimeError(f'the witness has ended: {failure}') from failure
            if time.monotonic() > until:
                raise AvdetError(
                    f'expected {what} within {timeout_s:g} s, found none ({self.heard()})'
                )
            time.sleep(0.02)
        return found

    def heard(self) -> str:
        """The last lines that each node printed, those beside the graph first."""
        own = [node.name for node in self.graph.nodes]
        named = sorted(self.lines.items(), key=lambda entry: entry[0] in own)
        return '; '.join(f'{name}: {" / ".join(lines)}' for name, lines in named)

    def settle(self) -> float:
        """Wait until tracks come steadily, forget what was, and say when that is."""
        self.settle_after()
        self.witness.clear()
        began_s = time.monotonic()
        time.sleep(1.0)
        return began_s

    def settle_after(self) -> None:
        """Wait until tracks have come steadily for a while."""

        def steady() -> bool:
            now_s = time.monotonic()
            newest = [entry for entry in self.witness.tracks if entry.at_s > now_s - SETTLED_S]
            return len(newest) >= 0.25 * SETTLED_S / HOP_S

        self.wait(steady, 'tracks')

    def said(self, node: str, words: str, since_s: float) -> Any:
        """Wait until a node's diagnostics say these words, and return the status."""
        return self.wait(
            lambda: self.witness.find_status(node, words, since_s), f'{node} to say {words!r}'
        )

    def tracked_after(self, instant_s: float) -> Any:
        """Wait for the first tracks that come after an instant."""

        def first() -> Any:
            return next((entry for entry in self.witness.tracks if entry.at_s > instant_s), None)

        return self.wait(first, 'tracks')

    def process(self, node: str) -> subprocess.Popen:
        """A node's process."""
        return self.wait(lambda: self.supervisor.processes.get(node), node)

    def other(
        self,
        node: str,
        namespace: str | None = None,
        remappings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> subprocess.Popen:
        """Start one more node beside the graph.

        Args:
            node: which.
            namespace: absolute; None for the graph's.
            remappings: topics by relative name.
            environment: variables on top.
            parameters: its parameters.
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
        """What was lost since an instant, as the witness saw it."""
        tracks = [entry for entry in self.witness.tracks if entry.at_s >= since_s]
        runs = [run for run in self.witness.sound if run.at_s >= since_s]
        return Losses(
            missing_windows([entry.stamp_ns for entry in tracks]),
            missing_samples([(run.sample, run.count) for run in runs]),
            *identities([entry.boxes for entry in tracks]),
        )

    def stamp_errors_ms(self, since_s: float) -> np.ndarray:
        """Stamp minus truth of every run of samples since an instant, milliseconds."""
        runs = [run for run in self.witness.sound if run.at_s >= since_s]
        truth_s = np.array([self.device.captured_s(run.sample) for run in runs])
        return 1e3 * (np.array([run.stamp_ns for run in runs]) * 1e-9 - truth_s)

    def latency_ms(self, since_s: float) -> np.ndarray:
        """Sound to tracks, of every window since an instant."""
        return np.array([ms for at_s, ms in self.witness.latency_ms if at_s >= since_s])

    def _hear(self, node: str, line: str) -> None:
        self.lines.setdefault(node, deque(maxlen=LINES)).append(line)

    def _read(self, name: str, process: subprocess.Popen) -> None:
        self.lines.pop(name, None)  # of one before
        for line in process.stdout:
            self._hear(name, line.rstrip('\n'))
        process.stdout.close()
        self._hear(name, f'ended with status {process.wait()}')

    def _tend(self) -> None:
        while not self._ending.wait(0.1):
            self.supervisor.poll()


def require_ros() -> None:
    """Check that rclpy is there.

    Raises:
        AvdetError: it is not.
    """
    try:
        import rclpy  # noqa: F401
    except ImportError as error:
        raise AvdetError(f'this needs ROS 2: expected rclpy, found {error}') from error


def end(process: subprocess.Popen, patience_s: float = 20.0) -> tuple[int, float]:
    """Ask a process to end, and insist.

    Returns:
        Its exit status, negative for a signal, and how long it took.
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
    """While this context lasts, every core computes something else too.

    Args:
        first: Python that each of the busy processes runs before, as to give way.
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
