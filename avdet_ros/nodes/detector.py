"""Node detector: a spectrogram in, boxes in the camera's image out."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_msgs.msg import Float64, String
from vision_msgs.msg import Detection2DArray, LabelInfo, VisionClass

from avdet_ros.detection.moving_steering import USUAL_AIR_C
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.messages.array_state import read_array
from avdet_ros.messages.decode import channels_first, decode_spectrogram, stamp_ns
from avdet_ros.messages.encode import encode_detections, encode_header
from avdet_ros.messages.places import find_places
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.adaptive import AdaptiveSubscription
from avdet_ros.nodes.array_motion import ArrayMotion
from avdet_ros.nodes.hand_over import FeatureWindow
from avdet_ros.nodes.held import held
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.nodes.message_loss import MessageLossCounter
from avdet_ros.nodes.step_times import StepTimes
from avdet_ros.nodes.topic_health import AnySubscription
from avdet_ros.nodes.window_flow import WindowFlow
from avdet_ros.nodes.worker import LatestValueWorker, make_worker
from avdet_ros.paths import DEFAULT_MODEL, share

_Arrival = tuple[Image | FeatureWindow, int, tuple[float, float]]
"""A window, its arrival time in ns, and the speed and air temperature to steer it for."""


class DetectorNode(AvdetNode):
    """Publishes `detections` for every window, even if it finds nothing.

    Only the newest spectrogram waits for the thread that runs the model: an overloaded detector
    drops windows and never queues them.
    """

    NAME = 'detector'

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        qos_options = {'qos_overriding_options': qos.overridable()}
        self._detections = self.create_publisher(
            Detection2DArray, 'detections', qos.RESULTS, **qos_options
        )
        self._labels = self.create_publisher(LabelInfo, 'label_info', qos.LATCHED)
        self._inference_ms = self.create_publisher(Float64, 'debug/inference_ms', 10)
        self._sent_ms = self.create_publisher(Float64, 'debug/detections_latency_ms', 10)
        self._steps = StepTimes(self)
        self._subscription: AnySubscription | None = None
        self._array: AnySubscription | None = None
        self._worker: LatestValueWorker[_Arrival] | None = None
        self._detector: Detector | None = None
        self._motion: ArrayMotion | None = None

    def load(self) -> None:
        """Read the model and check it against the rig."""
        self._rig = self.load_rig()
        model = self.p['model'] or share(DEFAULT_MODEL)
        self._detector = Detector(
            model,
            self._rig,
            providers=self.p['providers'],
            threads=self.p['threads'],
            tensorrt_cache=self.p['tensorrt_cache'],
        )
        self.get_logger().info(f'{self._detector.path} on {self._detector.provider}')

    def unload(self) -> None:
        """Drop the model."""
        self._detector = None

    def acquire(self) -> None:
        """Subscribe and start the thread."""
        self._windows_in, self._windows_out = diagnostics.RateCounter(), diagnostics.RateCounter()
        self._refused = 0
        self._missed = MessageLossCounter(self.refuse)
        self._last_in_s: float | None = None
        self._flow = WindowFlow()
        self._inference, self._latency = diagnostics.LatencyStats(), diagnostics.LatencyStats()
        self._publish_labels(self.p['min_score'])
        self._worker = make_worker(self, 'inference', 1, self._detect, self._on_refused)
        self._worker.start()
        if held(self._detector).steered:
            window_s = held(self._detector).front_end.window_s
            self._motion = ArrayMotion(self, self._rig.frame_id, window_s)
        self._subscription = self.create_subscription(
            Image,
            'spectrogram',
            self._on_spectrogram,
            qos.ASK_SPECTROGRAM,
            qos_overriding_options=qos.overridable(),
        )

        if self.hand_over.offers(self._subscription.topic_name):
            # Capture runs in this process: its windows arrive as arrays, without messages.
            # The subscription was created only to declare the parameters of its QoS.
            topic = self._subscription.topic_name
            self.destroy_subscription(self._subscription)
            self._subscription = self.hand_over.subscribe(topic, self._on_window)
        self._array = self.create_subscription(String, 'array', self._on_array, qos.LATCHED)

    def release(self) -> None:
        """Unsubscribe and end the thread."""
        if self._subscription is not None:  # first: its windows use what is released below
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._motion is not None:
            self._motion.destroy()
            self._motion = None
        if self._array is not None:
            self.destroy_subscription(self._array)
            self._array = None
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def parameters_changed(self, changes: dict[str, Any]) -> None:
        """Publish the labels again for a new threshold, which they contain."""
        score = changes.get('min_score', self.p['min_score'])
        if self.state == 'active' and score != self.p['min_score']:
            self._publish_labels(score)

    def _publish_labels(self, min_score: float) -> None:
        self._labels_wait = self.now_ns() <= 0  # sim time has not begun; repeated once it has
        info = LabelInfo(threshold=min_score)
        info.header = encode_header(self.now_ns(), self._rig.camera.frame_id)
        info.class_map = [
            VisionClass(class_id=index, class_name=name)
            for index, name in enumerate(held(self._detector).contract.classes)
        ]
        self._labels.publish(info)

    def _on_array(self, message: String) -> None:
        """Steer by the array that features are computed for: calibrated, without dead channels."""
        try:
            rig = read_array(message.data, self._rig, self.resolve_topic_name('array'))
            held(self._detector).use_rig(rig)
        except AvdetError as error:
            self.refuse('array', str(error))

    def _on_spectrogram(self, message: Image, info: dict[str, Any]) -> None:
        self._last_in_s = time.monotonic()
        self._windows_in.add()
        subscription = self._subscription
        if isinstance(subscription, Subscription | AdaptiveSubscription):
            self._missed.add(subscription, info)
        held(self._worker).put((message, self.now_ns(), self._motion_at(stamp_ns(message))))

    def _on_window(self, window: FeatureWindow) -> None:
        """Like `_on_spectrogram`, on the thread of the capture node in this process."""
        self._last_in_s = time.monotonic()
        self._windows_in.add()
        held(self._worker).put((window, self.now_ns(), self._motion_at(window.end_ns)))

    def _motion_at(self, end_ns: int) -> tuple[float, float]:
        """Return the speed and air temperature known when a window arrives."""
        return (0.0, USUAL_AIR_C) if self._motion is None else self._motion.at(end_ns)

    # The worker's thread.

    def _on_refused(self, error: AvdetError) -> None:
        self._refused += 1
        self.refuse('spectrogram', str(error))

    def _detect(self, arrival: _Arrival) -> None:
        (window, received_ns, motion), begun_ns = arrival, self.now_ns()
        features, end_ns = _read(window)
        if end_ns <= 0:
            raise AvdetError(f'spectrogram: expected a stamp in the header, found {end_ns} ns')
        decoded_ns, began = self.now_ns(), time.perf_counter()
        detections = held(self._detector).detect(features, self.p['beyond_image'], *motion)
        detections = detections.best(self.p['min_score'], self.p['max_detections'])
        milliseconds = (time.perf_counter() - began) * 1e3
        inferred_ns = self.now_ns()
        instant_ns = end_ns + round(held(self._detector).contract.label_offset_s * 1e9)
        head = encode_header(instant_ns, self._rig.camera.frame_id)
        places = find_places(detections, self._rig)
        self._detections.publish(
            encode_detections(head, detections.boxes_px, detections.scores, places=places)
        )
        sent_ns = self.now_ns()
        self._windows_out.add()
        late_ms = (sent_ns - end_ns) * 1e-6
        self._inference.add(milliseconds)
        self._latency.add(late_ms)
        self._flow.add(sent_ns, end_ns, late_ms)
        self.publish_number(self._inference_ms, milliseconds)
        self.publish_number(self._sent_ms, late_ms)
        self._steps.publish(
            end_ns,
            received=received_ns,
            begun=begun_ns,
            decoded=decoded_ns,
            inferred=inferred_ns,
            sent=sent_ns,
        )
        # Prepare for the next windows, now that this one has been published.
        held(self._detector).prepare(*motion)

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report windows, model and provider."""
        if self._labels_wait and self.now_ns() > 0:
            self._publish_labels(self.p['min_score'])
        model = held(self._detector)
        for note in model.notes:
            report.warn(note)
        silent = self.explain_silence(report, self._subscription, self._last_in_s, may_end=True)
        if self._subscription is not None:
            self.publisher_watch.report_publishers(report, self._subscription, 'one capture')
        report.value(
            model=model.path,
            sha256=model.sha256,
            provider=model.provider,
            label_offset_s=model.contract.label_offset_s,
            windows_in=self._windows_in.count,
            windows_out=self._windows_out.count,
            windows_per_second=self._windows_out.per_second(),
            windows_dropped=held(self._worker).dropped,
            windows_missed=self._missed.count,
            windows_refused=self._refused,
        )
        if self._motion is None:
            report.value(ego_motion='not used: the model is for one rig')
        else:
            self._motion.diagnose(report, ended=silent)
        self._inference.add_to(report, 'inference')
        self._latency.add_to(report, 'detections_latency')
        if not silent:
            for sentence in self._flow.sentences(self.now_ns(), held(self._worker).dropped):
                report.warn(sentence)
        if not silent and report.level == diagnostics.OK:
            report.ok(f'{self._windows_out.count} windows on {model.provider}')


def _read(window: Image | FeatureWindow) -> tuple[np.ndarray, int]:
    """Return a window's features and the ROS time of its end, from either kind of input."""
    if isinstance(window, FeatureWindow):
        return channels_first(window.features.transpose(1, 2, 0)), window.end_ns
    return decode_spectrogram(window, 'spectrogram'), stamp_ns(window)
