"""Node overlay: draws everything in one picture and one set of markers, for people."""

from __future__ import annotations

from collections import deque
import time
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from avdet_ros.drawing.from_above import Placed
from avdet_ros.drawing.picture import Box, Painter, View
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import (
    decode_detections,
    decode_ground,
    decode_spectrogram,
    stamp_ns,
)
from avdet_ros.messages.encode import encode_header, encode_image
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.ground_markers import GroundMarkers, hidden_markers
from avdet_ros.nodes.held import held
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.nodes.live_pictures import LivePictures
from avdet_ros.nodes.markers import wedges
from avdet_ros.nodes.message_loss import CountedSubscriptions
from avdet_ros.nodes.worker import LatestValueWorker, make_worker
from avdet_ros.rig import MICROPHONES

STRIP_SIZE_PX = (240, 1032)
"""Height and width of `spectrogram_image`: three pixels per mel band, one per frame of six
seconds."""

_SILENT_S = 1.0
_DAY_NS = 86_400_000_000_000
_MOST_IDS = 10_000
_TRUTH_KEPT = 400
_TRUTH_TOLERANCE_NS = 60_000_000


class OverlayNode(AvdetNode):
    """Publishes `overlay`, `spectrogram_image` and markers while there are subscribers.

    A separate thread draws a picture for each `tracks` message, at most `max_rate_hz` times a
    second; without messages it draws one a second that shows the reason.
    """

    NAME = 'overlay'

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        qos_options = {'qos_overriding_options': qos.overridable()}
        self._overlay = self.create_publisher(Image, 'overlay', qos.OFFER_STREAM, **qos_options)
        self._strip = self.create_publisher(
            Image, 'spectrogram_image', qos.OFFER_STREAM, **qos_options
        )
        self._markers = self.create_publisher(MarkerArray, 'markers', qos.RESULTS)
        self._markers_3d = self.create_publisher(MarkerArray, 'markers_3d', qos.RESULTS)
        self._overlay_ms = self.create_publisher(Float64, 'debug/overlay_ms', 10)
        self._inputs: list[Any] = []
        self._for_pictures: list[Any] = []
        self._for_markers: list[Any] = []
        self._worker: LatestValueWorker[tuple[int, list[Box]]] | None = None

    def load(self) -> None:
        """Read the rig and draw the road."""
        cv2.setNumThreads(1)
        self._rig = self.load_rig()
        self._painter = Painter(self._rig)

    def acquire(self) -> None:
        """Subscribe and start the thread."""
        self._painter.forget()
        self._last_ns: int | None = None
        self._ground_markers = GroundMarkers()
        self._placed: tuple[float, int, list[Placed]] | None = None
        self._truth: deque[tuple[int, list[Box]]] = deque(maxlen=_TRUTH_KEPT)
        self._latency_ms: float | None = None
        self._spectrogram: Image | None = None
        self._last_in_s: float | None = None
        self._note = ''
        self._first_ns = 0
        self._ids: dict[str, int] = {}
        self._counted = CountedSubscriptions(self)
        self._painted = diagnostics.RateCounter()
        self._times = diagnostics.LatencyStats()
        image_topic = self.resolve_topic_name('image')
        info_topic = self.resolve_topic_name('camera_info')
        self._pictures = LivePictures(self._rig.camera, image_topic, info_topic, self.refuse)
        self._worker = make_worker(
            self,
            'picture',
            1,
            self._draw,
            idle_s=_SILENT_S,
            period_s=lambda: 0.97 / self.p['max_rate_hz'],
        )
        self._worker.start()
        counted = self._counted
        how: dict[str, Any] = {'qos_overriding_options': qos.overridable()}
        # image_transport names a compressed stream after the raw one, with this suffix.
        picture = CompressedImage if image_topic.endswith('/compressed') else Image
        arrays, stream = Detection2DArray, qos.ASK_STREAM
        self._camera_input = counted.create_subscription(
            picture, 'image', self._on_image, stream, warn=False, **how
        )
        self._inputs = [
            counted.create_subscription(arrays, 'tracks', self._on_tracks, qos.RESULTS, **how),
            counted.create_subscription(
                Detection3DArray, 'tracks_3d', self._on_ground, qos.RESULTS, **how
            ),
            counted.create_subscription(arrays, 'truth', self._on_truth, qos.RESULTS, **how),
            self._camera_input,
            counted.create_subscription(
                CameraInfo, 'camera_info', self._on_camera_info, stream, warn=False, **how
            ),
        ]
        self._listen_for_pictures()  # if only to declare the sound's QoS parameters

    def _listen_for_pictures(self) -> None:
        self._for_pictures = [
            self._counted.create_subscription(
                Image,
                'spectrogram',
                self._on_spectrogram,
                qos.ASK_SPECTROGRAM,
                warn=False,
                qos_overriding_options=qos.overridable(),
            ),
            self._counted.create_subscription(
                Float64, 'debug/latency_ms', self._on_latency, 10, warn=False
            ),
        ]

    def _ignore_for_pictures(self) -> None:
        for subscription in self._for_pictures:
            self.destroy_subscription(subscription)
        self._for_pictures, self._spectrogram = [], None

    def _listen_for_markers(self) -> None:
        self._for_markers = [
            self._counted.create_subscription(
                PointCloud2, 'hidden', self._on_hidden, 10, warn=False
            )
        ]

    def _ignore_for_markers(self) -> None:
        for subscription in self._for_markers:
            self.destroy_subscription(subscription)
        self._for_markers = []

    def _follow_subscribers(self) -> bool:
        """Follow the outputs' subscribers; return whether anyone looks at drawn tracks.

        Topics that only pictures show are subscribed to only while somebody looks at pictures:
        spectrograms are 1.8 MB each, and each message wakes this node.
        """
        pictures = bool(
            self._overlay.get_subscription_count() or self._strip.get_subscription_count()
        )
        if pictures and not self._for_pictures:
            self._listen_for_pictures()
        elif not pictures and self._for_pictures:
            self._ignore_for_pictures()
        markers = self._markers_3d.get_subscription_count() > 0
        if markers and not self._for_markers:
            self._listen_for_markers()
        elif not markers and self._for_markers:
            self._ignore_for_markers()
        return pictures or self._markers.get_subscription_count() > 0

    def release(self) -> None:
        """Unsubscribe and end the thread."""
        self._ignore_for_pictures()
        self._ignore_for_markers()
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs = []
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    # The executor's thread: it only stores what arrives.

    def _on_tracks(self, message: Detection2DArray) -> None:
        self._last_in_s = time.monotonic()
        if self._follow_subscribers():
            held(self._worker).put((stamp_ns(message), self._boxes(message)))

    def _on_ground(self, message: Detection3DArray) -> None:
        self._placed = (time.monotonic(), stamp_ns(message), decode_ground(message))
        if self._markers_3d.get_subscription_count():
            self._markers_3d.publish(self._ground_markers.make(message, self.p['trail_s']))

    def _on_hidden(self, message: PointCloud2) -> None:
        try:
            self._markers_3d.publish(hidden_markers(message))
        except AvdetError as error:
            self.refuse('hidden', str(error))

    def _on_truth(self, message: Detection2DArray) -> None:
        instant_ns = stamp_ns(message)
        if self._truth and instant_ns < self._truth[-1][0]:
            self._truth.clear()
        self._truth.append((instant_ns, self._boxes(message)))

    def _on_image(self, message: Any) -> None:
        self._pictures.add(message)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._pictures.camera.take(message)

    def _on_spectrogram(self, message: Image) -> None:
        self._spectrogram = message

    def _on_latency(self, message: Float64) -> None:
        self._latency_ms = message.data

    def _boxes(self, message: Detection2DArray) -> list[Box]:
        found, ids = decode_detections(message)
        boxes = []
        for box, score, text in zip(found.boxes_px, found.scores, ids, strict=True):
            if np.isfinite(box).all() and np.abs(box).max() < 1e5:
                number = int(text) if text.isdecimal() and len(text) < 10 else None
                if len(self._ids) > _MOST_IDS:
                    self._ids.clear()
                if number is None:  # ids that are not numbers get one
                    number = self._ids.setdefault(text, len(self._ids))
                boxes.append(Box(box, number, float(np.nan_to_num(score))))
        return boxes

    # The painter's thread.

    def _draw(self, newest: tuple[int, list[Box]] | None) -> None:
        """Draw the outputs that have subscribers, with the newest tracks or without any."""
        tracks: list[Box] = []
        if newest is None:
            instant_ns = self.now_ns() if self._last_ns is None else self._last_ns
        else:
            instant_ns, tracks = newest
            self._last_ns = instant_ns
        camera = self._rig.camera
        self._painter.trails.seconds = self.p['trail_s']
        self._painter.trails.add(instant_ns * 1e-9, [(b.track_id, b.box_px) for b in tracks])
        self._feed_strip()
        head = encode_header(instant_ns, camera.frame_id)
        if self._markers.get_subscription_count():
            self._markers.publish(wedges(head, tracks, camera))
        if self._strip.get_subscription_count():
            strip = self._painter.strip.picture(*STRIP_SIZE_PX)
            array_head = encode_header(instant_ns, self._rig.array_frame_id)
            self._strip.publish(encode_image(array_head, 'bgr8', strip))
        if not self._overlay.get_subscription_count():
            return
        began = time.perf_counter()
        camera_image = self._pictures.at(instant_ns, self.p['image_timeout_s'])
        if not 0 <= instant_ns - (self._first_ns or 0) < _DAY_NS:
            self._first_ns = instant_ns
        view = View(
            tracks=tracks,
            truth=self._truth_at(instant_ns),
            image=camera_image,
            latency_ms=self._latency_ms if newest else None,
            time_s=instant_ns * 1e-9,
            since_s=(instant_ns - self._first_ns) * 1e-9,
            facts='camera' if camera_image is not None else self._pictures.why_none(),
            note='' if newest else self._note,
            ground=self._from_above(),
        )
        picture = self._painter.paint(view)
        if self.p['scale'] != 1:
            scale = self.p['scale']
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._overlay.publish(encode_image(head, 'bgr8', picture))
        milliseconds = (time.perf_counter() - began) * 1e3
        self._painted.add()
        self._times.add(milliseconds)
        self._overlay_ms.publish(Float64(data=milliseconds))

    def _from_above(self) -> list[Placed] | None:
        """Return vehicles in metres while they arrive, or None if the tracker knows only boxes."""
        if self._placed is None or time.monotonic() - self._placed[0] > _SILENT_S:
            return None
        _, instant_ns, vehicles = self._placed
        trails = self._painter.ground_trails
        trails.seconds = self.p['trail_s']
        trails.add(instant_ns * 1e-9, vehicles)
        return vehicles

    def _truth_at(self, instant_ns: int) -> list[Box] | None:
        if not self._truth:
            return None
        near = min(list(self._truth), key=lambda entry: abs(entry[0] - instant_ns))
        return near[1] if abs(near[0] - instant_ns) < _TRUTH_TOLERANCE_NS else None

    def _feed_strip(self) -> None:
        message, self._spectrogram = self._spectrogram, None
        if message is None:
            return
        features = decode_spectrogram(message, 'spectrogram')
        if features.shape[0] >= MICROPHONES and features.shape[1] == 80:
            levels = np.nan_to_num(features[:MICROPHONES], nan=-100.0, posinf=0.0, neginf=-100.0)
            self._painter.strip.add(stamp_ns(message) * 1e-9, levels)

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report pictures, subscribers, and why there is nothing to show."""
        self._follow_subscribers()
        tracks = self._inputs[0]
        silent = self.explain_silence(report, tracks, self._last_in_s, may_end=True)
        self._note = report.message if silent else ''
        ended = silent and report.level == diagnostics.OK  # a simulated camera too
        subscribers = self._overlay.get_subscription_count()
        report.value(
            pictures=self._painted.count,
            pictures_per_second=self._painted.per_second(),
            tracks_not_drawn=held(self._worker).dropped,
            messages_missed=self._counted.count,
            looking=subscribers,
            camera=self._pictures.diagnose(report, self._why_no_pictures, self.clock_still, ended),
            lens=self._pictures.camera.lens,
        )
        self._times.add_to(report, 'overlay')
        if report.level == diagnostics.OK:
            report.ok(f'{self._painted.count} pictures' if subscribers else 'no subscribers')

    def _why_no_pictures(self, since_s: float) -> str:
        return self.publisher_watch.why_silent(self._camera_input, since_s)
