"""A simulated drive through the real graph: four node processes, a recorder, and who watches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
import json
import os
from pathlib import Path
import shutil
import time
from typing import Any

import cv2
import numpy as np
import psutil

from avdet_ros.audio.window import HOP_S
from avdet_ros.dds_domain import free_domain
from avdet_ros.drawing.video import VideoWriter, contact_sheet
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.graph import Graph, make_graph
from avdet_ros.supervisor import Supervisor, transport_settings

WINDOW_S = 1.0
SHEET_PICTURES = 8

_START_S = 60.0
_TAIL_S = 3.0
_RESULTS = ('overlay.mp4', 'overlay.png', 'summary.json')


@dataclass(frozen=True)
class Plan:
    """What to show.

    Attributes:
        out: folder of the results.
        duration_s: length of the drive.
        seed: which drive.
        model: model file, '' for the package's.
        tracker: name of the tracker.
        camera: render what the camera sees, too.
    """

    out: Path
    duration_s: float
    seed: int
    model: str
    tracker: str
    camera: bool = False

    @property
    def windows(self) -> int:
        """How many windows the whole drive has."""
        return 1 + int((self.duration_s - WINDOW_S) / HOP_S + 1e-6)


def prepare_folder(out: Path) -> None:
    """Make the folder and take away what an earlier run left in it.

    Raises:
        AvdetError: it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in _RESULTS:
            (out / name).unlink(missing_ok=True)
        bag = out / 'bag'
        if list(bag.glob('*.mcap')) or (bag.is_dir() and not any(bag.iterdir())):
            shutil.rmtree(bag)
        probe = out / '.writable'
        probe.write_bytes(b'')
        probe.unlink()
    except OSError as error:
        raise AvdetError(
            f'{out}: expected a folder that can be written, found: {explain_os_error(error)}'
        ) from error
    if bag.exists():
        raise AvdetError(f'{bag}: expected nothing or an earlier bag, found something else')


class Demo:
    """The running graph and what came out of it so far.

    Attributes:
        monitor: what came on the topics.
        lines: the last lines that nodes printed.
    """

    def __init__(self, plan: Plan) -> None:
        """Choose a DDS domain of its own; nothing is started."""
        os.environ['ROS_DOMAIN_ID'] = str(free_domain())
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        os.environ.update(transport_settings(os.environ))
        self._plan = plan
        self.lines: deque[str] = deque(maxlen=20)
        self._graph = _graph(plan)
        self._supervisor = Supervisor(self._graph, self._hear)
        self._video = VideoWriter(plan.out / 'overlay.mp4', 1 / HOP_S)
        self._sheet: list[np.ndarray] = []
        self._cpu: dict[str, tuple[float, float]] = {}
        self.monitor: Any = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start everything, and end everything however the block ends.

        Raises:
            AvdetError: a node does not come up; the message is its own.
        """
        from avdet_ros.nodes.graph_monitor import GraphMonitor

        try:
            self._supervisor.start()
            self.monitor = GraphMonitor(
                self._graph.namespace, ('detections', 'tracks', 'truth'), self._on_picture
            )
            # Capture comes last, so that nobody misses the first window.
            last = ('camera', 'capture') if self._plan.camera else ('capture',)
            for name in ('tracker', 'recorder', 'overlay', 'detector', *last):
                if name == 'capture':
                    self._wait_for_listeners()
                self._enable(name)
            self._processes = {
                name: psutil.Process(process.pid)
                for name, process in self._supervisor.processes.items()
            }
            self._measure_cpu()
            yield
        finally:
            if self.monitor is not None:
                self._measure_cpu()
            self._supervisor.stop()
            if self.monitor is not None:
                self.monitor.close()
            self._video.close()

    def tend(self) -> bool:
        """Look after the nodes; False when the drive is over.

        Raises:
            AvdetError: a node has died.
        """
        self._supervisor.poll()
        if self._supervisor.deaths:
            name, status = self._supervisor.deaths[0]
            last = next((line for line in reversed(self.lines) if line.startswith(name)), '')
            raise AvdetError(f'node {name} ended with status {status}: {last}')
        if self.windows >= self._plan.windows:
            return False
        return not (self._capture('finished') == 'True' and self._quiet_s() > _TAIL_S)

    @property
    def windows(self) -> int:
        """Windows whose tracks have come."""
        return len(self.monitor.tracks) if self.monitor else 0

    def summary(self) -> dict[str, Any]:
        """The numbers of ``summary.json``; scores are worked out now."""
        from avdet_ros.evaluation.live import score_live
        from avdet_ros.rig import load_rig

        camera = load_rig().camera
        detections, tracks, truth = (
            {message.stamp_ns: (message.found, list(message.ids)) for message in kept}
            for kept in (self.monitor.detections, self.monitor.tracks, self.monitor.truth)
        )
        size = (camera.width_px, camera.height_px)
        detector = self._values('detector')
        sent = int(self._capture('windows_out', '0')) + int(self._capture('windows_dropped', '0'))
        windows = max(sent, self.windows)
        if self.windows >= self._plan.windows:
            windows = self.windows
        late = [ms for _, ms in self.monitor.latency_ms] or [float('nan')]
        p50, p99 = np.percentile(late, [50, 99])
        ids = {text for _, found in tracks.values() for text in found}
        scores = score_live(truth, detections, tracks, size)
        return {
            'seconds': round(WINDOW_S + HOP_S * (windows - 1), 3) if windows else 0.0,
            'windows': windows,
            'windows_dropped': windows - self.windows,
            'detections': sum(len(found) for found, _ in detections.values()),
            'tracks': len(ids),
            'map50': _rounded(scores['map50'], 4),
            'mota': _rounded(scores['mota'], 4),
            'latency_ms': {
                'p50': _rounded(p50, 2),
                'p99': _rounded(p99, 2),
                'max': _rounded(max(late), 2),
            },
            'cpu_percent': {name: round(used, 1) for name, used in self._cpu_percent().items()},
            'model': {'file': detector.get('model', ''), 'sha256': detector.get('sha256', '')},
            'ros_distro': ros_distro(),
        }

    def write(self, summary: Mapping[str, Any]) -> list[Path]:
        """Write summary and contact sheet; the paths of everything that is there.

        Raises:
            AvdetError: the disk is full, or the video could not be written.
        """
        out = self._plan.out
        try:
            text = json.dumps(summary, indent=2, allow_nan=False)
            (out / 'summary.json').write_text(text + '\n', encoding='utf-8')
            if self._sheet:
                _, png = cv2.imencode('.png', contact_sheet(self._sheet))
                (out / 'overlay.png').write_bytes(png.tobytes())
        except OSError as error:
            raise AvdetError(f'cannot write into {out}: {explain_os_error(error)}') from error
        if self._video.fault:
            raise AvdetError(f'the video is not whole: {self._video.fault}')
        return [out / name for name in (*_RESULTS, 'bag') if (out / name).exists()]

    def _hear(self, node: str, line: str) -> None:
        self.lines.append(f'{node}: {line}')

    def _on_picture(self, picture: np.ndarray) -> None:
        if not self.monitor.tracks:  # the drive has not begun
            return
        self._video.add(picture)
        due = (len(self._sheet) + 0.5) * self._plan.windows / SHEET_PICTURES
        if self._video.frames >= due and len(self._sheet) < SHEET_PICTURES:
            self._sheet.append(picture)

    def _enable(self, name: str) -> None:
        """Wait for a node to be active, noticing when it dies instead."""
        until = time.monotonic() + _START_S
        while True:
            try:
                self.monitor.enable(name, 1.0)
                return
            except AvdetError:
                self.tend()
                alive = time.monotonic() < until
                status = self.monitor.status(name)
                if (status and status.level == 2) or not alive:
                    raise

    def _wait_for_listeners(self) -> None:
        wanted = {'spectrogram': 3, 'detections': 3, 'tracks': 3, 'truth': 3, 'overlay': 1}
        until = time.monotonic() + _START_S
        while not self.monitor.has_subscribers(wanted) and time.monotonic() < until:
            time.sleep(0.02)

    def _values(self, name: str) -> dict[str, str]:
        status = self.monitor.status(name)
        return status.values if status else {}

    def _capture(self, key: str, missing: str = '') -> str:
        return self._values('capture').get(key, missing)

    def _quiet_s(self) -> float:
        if self._last_windows[0] != self.windows:
            self._last_windows = (self.windows, time.monotonic())
        return time.monotonic() - self._last_windows[1]

    _last_windows: tuple[int, float] = (-1, 0.0)
    _processes: Mapping[str, psutil.Process] = {}

    def _measure_cpu(self) -> None:
        """Remember CPU and wall seconds; the first and the last time count."""
        for name, process in self._processes.items():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            now = (times.user + times.system, time.monotonic())
            self._cpu.setdefault(f'{name} first', now)
            self._cpu[f'{name} last'] = now

    def _cpu_percent(self) -> dict[str, float]:
        used = {}
        for name in self._processes:
            (cpu0, wall0), (cpu1, wall1) = (
                self._cpu[f'{name} {end}'] for end in ('first', 'last')
            )
            used[name] = 100 * (cpu1 - cpu0) / max(wall1 - wall0, 1e-3)
        return used


def ros_distro() -> str:
    """Name of the ROS 2 release in use, '' if nobody knows."""
    if name := os.environ.get('ROS_DISTRO'):
        return name
    for distribution in metadata.distributions():
        parts = (distribution.metadata['Name'] or '').lower().split('-')
        if len(parts) == 3 and parts[0] == 'ros' and parts[2] == 'rclpy':
            return parts[1]
    return ''


def _graph(plan: Plan) -> Graph:
    graph = make_graph(
        {
            'source': 'simulation',
            'seed': str(plan.seed),
            'duration': str(plan.duration_s),
            'camera': str(plan.camera).lower(),
            'hop': str(HOP_S),
            'model': plan.model,
            'tracker': plan.tracker,
            'record': str(plan.out / 'bag'),
            'record_topics': 'spectrogram,detections,tracks,truth,label_info,debug/latency_ms',
            'respawn': 'false',
        }
    )
    nodes = [
        replace(node, parameters={**node.parameters, 'autostart': node.name != 'capture'})
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)
