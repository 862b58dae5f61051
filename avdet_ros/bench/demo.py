"""Run a simulated drive through the graph: four nodes, a recorder and a monitor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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

from avdet_ros.audio.window import HOP_S
from avdet_ros.bench.running_graph import NodeLoad, RunningGraph
from avdet_ros.drawing.video import VideoWriter, contact_sheet
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.graph import Graph, make_graph
from avdet_ros.tracking import GroundTracker

WINDOW_S = 1.0
SHEET_PICTURES = 8

_START_S = 60.0
_TAIL_S = 3.0
_RECORDED = (
    'spectrogram',
    'detections',
    'tracks',
    'tracks_3d',
    'tracks_points',
    'nearest',
    'hidden',
    'odom',
    'truth',
    'label_info',
    'debug/inference_ms',
    'debug/detections_latency_ms',
    'debug/tracker_ms',
    'debug/latency_ms',
)
_RESULTS = ('overlay.mp4', 'overlay.png', 'summary.json')


@dataclass(frozen=True)
class Plan:
    """Settings of a demo.

    Attributes:
        out: folder for the results.
        duration_s: length of the drive.
        seed: seed of the drive.
        model: model file, '' for the shipped one.
        tracker: name of the tracker.
        camera: whether to render the camera's pictures too.
    """

    out: Path
    duration_s: float
    seed: int
    model: str
    tracker: str
    camera: bool = False

    @property
    def windows(self) -> int:
        """Number of windows of the whole drive."""
        return 1 + int((self.duration_s - WINDOW_S) / HOP_S + 1e-6)


def prepare_folder(out: Path) -> None:
    """Create the folder, and remove the results of an earlier run.

    Raises:
        AvdetError: the folder cannot be written.
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
    """The running graph and its results so far.

    Attributes:
        graph: the nodes, and the messages received from them.
    """

    def __init__(self, plan: Plan) -> None:
        """Prepare the graph without starting it."""
        self._plan = plan
        self._video = VideoWriter(plan.out / 'overlay.mp4', 1 / HOP_S)
        self._sheet: list[np.ndarray] = []
        self._loads: list[NodeLoad] = []
        self._last_count, self._last_count_s = -1, 0.0
        self.graph = RunningGraph(
            lambda: _graph(plan), ('detections', 'tracks', 'truth'), self._on_picture
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start everything, and stop everything however the block ends.

        Raises:
            AvdetError: a node does not start; the message is its own.
        """
        try:
            with self.graph:
                # Capture starts last, so that no node misses the first window.
                last = ('camera', 'capture') if self._plan.camera else ('capture',)
                for name in ('tracker', 'recorder', 'overlay', 'detector', *last):
                    if name == 'capture':
                        self._wait_for_subscribers()
                    self._enable(name)
                read_loads = self.graph.measure_load()
                try:
                    yield
                finally:
                    self._loads = read_loads()
        finally:
            self._video.close()

    def going_on(self) -> bool:
        """Return whether the drive is still running.

        Raises:
            AvdetError: a node has ended.
        """
        self.graph.check()
        if self.windows >= self._plan.windows:
            return False
        return not (self._capture('finished') == 'True' and self._quiet_s() > _TAIL_S)

    @property
    def windows(self) -> int:
        """Number of windows whose tracks have arrived."""
        return len({message.stamp_ns for message in self.graph.monitor.tracks})

    def summary(self) -> dict[str, Any]:
        """Compute the scores and return the content of ``summary.json``."""
        from avdet_ros.evaluation.live import score_live
        from avdet_ros.rig import load_rig

        camera, monitor = load_rig().camera, self.graph.monitor
        detections, tracks, truth = (
            {message.stamp_ns: (message.found, list(message.ids)) for message in kept}
            for kept in (monitor.detections, monitor.tracks, monitor.truth)
        )
        size = (camera.width_px, camera.height_px)
        detector = self._values('detector')
        sent = int(self._capture('windows_out', '0')) + int(self._capture('windows_dropped', '0'))
        windows = max(sent, self.windows)
        if self.windows >= self._plan.windows:
            windows = self.windows
        late = [ms for _, ms in monitor.latency_ms] or [float('nan')]
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
            'cpu_percent': {load.node: round(load.cpu_percent, 1) for load in self._loads},
            'model': {'file': detector.get('model', ''), 'sha256': detector.get('sha256', '')},
            'ros_distro': ros_distro(),
        }

    def write(self, summary: Mapping[str, Any]) -> list[Path]:
        """Write summary and contact sheet; return the paths of all results.

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

    def _on_picture(self, picture: np.ndarray) -> None:
        if not self.graph.monitor.tracks:  # the drive has not started
            return
        self._video.add(picture)
        due = (len(self._sheet) + 0.5) * self._plan.windows / SHEET_PICTURES
        if self._video.frames >= due and len(self._sheet) < SHEET_PICTURES:
            self._sheet.append(picture)

    def _enable(self, name: str) -> None:
        """Wait until a node is active; raise if it dies instead."""
        until_s = time.monotonic() + _START_S
        while True:
            try:
                self.graph.monitor.enable(name, 1.0)
                return
            except AvdetError as error:
                self.graph.check()
                status = self.graph.monitor.status(name)
                if status and status.values.get('state') == 'active':
                    return  # only the reply was late
                if status and status.level == 2:  # an error, even if only the reply was late
                    raise AvdetError(f'{name}: {status.sentence}') from error
                if time.monotonic() >= until_s:
                    raise

    def _wait_for_subscribers(self) -> None:
        wanted = {'spectrogram': 3, 'detections': 3, 'tracks': 3, 'truth': 3, 'overlay': 1}
        with suppress(AvdetError):  # the demo starts without nodes that are not ready by then
            self.graph.wait(
                lambda: self.graph.monitor.has_subscribers(wanted), 'subscribers', _START_S
            )

    def _values(self, name: str) -> dict[str, str]:
        status = self.graph.monitor.status(name)
        return status.values if status else {}

    def _capture(self, key: str, missing: str = '') -> str:
        return self._values('capture').get(key, missing)

    def _quiet_s(self) -> float:
        """Return the seconds since the last new window."""
        if self._last_count != self.windows:
            self._last_count, self._last_count_s = self.windows, time.monotonic()
        return time.monotonic() - self._last_count_s


def ros_distro() -> str:
    """Return the name of the ROS 2 release in use, '' if unknown."""
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
            'record_topics': ','.join(_RECORDED),
            'respawn': 'false',
        }
    )
    # Vehicles outside the image have a position in metres, which only tracker ground uses.
    more = {'detector': {'beyond_image': plan.tracker == GroundTracker.name}}
    nodes = [
        replace(
            node,
            parameters={
                **node.parameters,
                **more.get(node.name, {}),
                'autostart': node.name != 'capture',
            },
        )
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)
