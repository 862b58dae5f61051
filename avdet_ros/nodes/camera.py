"""Node camera: pictures of the simulated drive whose sound node capture plays."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, Image, TimeReference

from avdet_ros.messages.decode import stamp_ns
from avdet_ros.messages.encode import encode_header, encode_image
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.held import held
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.nodes.topic_health import AnySubscription
from avdet_ros.nodes.worker import LatestValueWorker, make_worker
from avdet_ros.rig import Camera

ENCODINGS = {'rgb': 'rgb8', 'thermal': 'mono16', 'depth': '32FC1'}
TOPICS = {
    'rgb': 'camera/image_raw',
    'thermal': 'thermal/image_raw',
    'depth': 'depth/image_raw',
}

_NAP_S = 0.02


class CameraNode(AvdetNode):
    """Publishes images of the simulated drive while there are subscribers.

    Capture publishes the beginning of its drive on `drive_time`. A picture is rendered ahead of
    its instant, and published at that instant with it as the stamp. Instants for which there was
    no time are skipped. The process has low priority, so that it does not disturb the sound.
    """

    NAME = 'camera'

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._began: TimeReference | None = None
        self._subscription: AnySubscription | None = None
        self._worker: LatestValueWorker[None] | None = None
        self._outputs: dict[str, Any] = {}

    def load(self) -> None:
        """Generate the drive from its seed, or open its folder."""
        from avdet_ros.simulation.footage import footage_of
        from avdet_ros.simulation.live import drawn_drive, written_drive

        cv2.setNumThreads(1)
        self._rig = self.load_rig()
        if self.p['drive']:
            self._drive = written_drive(self.p['drive'], self._rig)
        else:
            self._drive = drawn_drive(self.p['seed'], self._rig, self.p['duration_s'])
        self._footage = footage_of(self._drive, self.p['rate_hz'])

    def acquire(self) -> None:
        """Create publishers, subscribe to the drive's beginning, start the thread."""
        self._began = None
        self._sent, self._skipped = diagnostics.RateCounter(), 0
        self._times, self._late = diagnostics.LatencyStats(), diagnostics.LatencyStats()
        self._finished = False
        qos_options = {'qos_overriding_options': qos.overridable()}
        names = dict.fromkeys(self.p['modalities'])
        self._outputs = {
            name: self.create_publisher(Image, TOPICS[name], qos.OFFER_STREAM, **qos_options)
            for name in names
        }
        self._info = self.create_publisher(CameraInfo, 'camera/camera_info', qos.OFFER_STREAM)
        self._subscription = self.create_subscription(
            TimeReference, 'drive_time', self._on_drive_time, qos.LATCHED
        )
        self._next_s = 0.0
        self._worker = make_worker(self, 'picture', 1, self._render, idle_s=0.0, rest_s=1.0)
        self._worker.start()

    def release(self) -> None:
        """End the thread, unsubscribe and destroy the publishers."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._outputs:
            for publisher in (*self._outputs.values(), self._info):
                self.destroy_publisher(publisher)
            self._outputs = {}

    def _on_drive_time(self, message: TimeReference) -> None:
        self._began = message

    # The worker's thread.

    def _render(self, _: None) -> None:
        """Render and publish one picture, or wait a little."""
        began, next_s = self._began, self._next_s
        subscribed = [name for name, p in self._outputs.items() if p.get_subscription_count()]
        if began is None or not subscribed or began.source != self._drive.name:
            held(self._worker).pause(_NAP_S)
            return
        began_ns = stamp_ns(began)
        now_s = (self.now_ns() - began_ns) * 1e-9
        if now_s < next_s - 2.0:  # the drive was restarted
            next_s = 0.0
        instant_s = self._footage.instant(max(now_s, next_s))
        self._finished = instant_s is None
        if instant_s is None or instant_s - now_s > 1.0:
            self._next_s = next_s
            held(self._worker).pause(_NAP_S)
            return
        started = time.perf_counter()
        pictures = self._footage.take(instant_s, tuple(subscribed))
        self._times.add((time.perf_counter() - started) * 1e3)
        due_ns = began_ns + round(instant_s * 1e9)
        while (left_s := (due_ns - self.now_ns()) * 1e-9) > 0:
            if held(self._worker).pause(min(left_s, _NAP_S)):
                return
        if self._began is None:
            return
        self._publish(due_ns, pictures)
        self._next_s = instant_s + 1e-3

    def _publish(self, due_ns: int, pictures: dict[str, np.ndarray]) -> None:
        head = encode_header(due_ns, self._rig.camera.frame_id)
        for name, picture in pictures.items():
            self._outputs[name].publish(encode_image(head, ENCODINGS[name], picture))
        self._info.publish(camera_info(head, self._rig.camera))
        self._sent.add()
        self._late.add((self.now_ns() - due_ns) * 1e-6)

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report the pictures sent, their lateness, and why there are none."""
        began = self._began
        subscribers = sum(p.get_subscription_count() for p in self._outputs.values())
        report.value(
            drive=self._drive.name,
            pictures=self._sent.count,
            pictures_per_second=self._sent.per_second(),
            looking=subscribers,
            finished=self._finished,
        )
        self._times.add_to(report, 'render')
        self._late.add_to(report, 'late')
        if began is None:
            self.explain_silence(report, self._subscription, None)
        elif began.source != self._drive.name:
            topic = self.resolve_topic_name('drive_time')
            report.error(
                f'{topic}: expected {self._drive.name} as the parameters '
                f'say, found that capture plays {began.source}'
            )
        if report.level == diagnostics.OK:
            report.ok(f'{self._sent.count} pictures' if subscribers else 'no subscribers')


def camera_info(head: Any, camera: Camera) -> CameraInfo:
    """Encode a pinhole camera's model as a message, without distortion."""
    k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    return CameraInfo(
        header=head,
        height=camera.height_px,
        width=camera.width_px,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=k,
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0],
    )
