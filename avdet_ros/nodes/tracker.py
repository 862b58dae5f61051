"""Node tracker: the same boxes, with identities."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rclpy.subscription import Subscription
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray

from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import decode_detections, stamp_ns
from avdet_ros.messages.encode import encode_header, encode_tracks
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.adaptive import AdaptiveSubscription
from avdet_ros.nodes.ego_reader import EgoReader
from avdet_ros.nodes.ground_output import GroundOutput
from avdet_ros.nodes.held import held
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.nodes.map_reader import MapReader
from avdet_ros.nodes.message_loss import MessageLossCounter
from avdet_ros.nodes.step_times import StepTimes
from avdet_ros.nodes.window_flow import WindowFlow
from avdet_ros.rig import Rig
from avdet_ros.tracking import GroundTracker, Track, Tracker, make_tracker

_OWN_DEFAULT = -1.0
_THRESHOLDS = {'start_score': 'new_track_threshold', 'iou_threshold': 'iou_threshold'}
_LARGEST_PX = 1e6
_LONGEST_AHEAD_S = 5.0


class TrackerNode(AvdetNode):
    """Publishes `tracks` for every `detections` message, with the same header.

    With tracker `ground` it also publishes vehicles in metres: `tracks_3d` and related topics are
    valid for the end of the window.

    ``debug/latency_ms`` is the time from the capture of a window's last sample to the publication
    of that window's tracks: now - (stamp - label_offset_s).
    """

    NAME = 'tracker'

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        qos_options = {'qos_overriding_options': qos.overridable()}
        self._tracks = self.create_publisher(
            Detection2DArray, 'tracks', qos.RESULTS, **qos_options
        )
        self._tracker_ms = self.create_publisher(Float64, 'debug/tracker_ms', 10)
        self._latency_ms = self.create_publisher(Float64, 'debug/latency_ms', 10)
        self._steps = StepTimes(self)
        self._ground = GroundOutput(self)
        self._subscription: Subscription | AdaptiveSubscription | None = None
        self._ego: EgoReader | None = None
        self._map: MapReader | None = None
        self._rig: Rig | None = None
        self._tracker: Tracker | None = None
        self._highest_id = 0

    def load(self) -> None:
        """Read the rig and make the tracker."""
        self._rig = self.load_rig()
        self._tracker = self._make({})

    def acquire(self) -> None:
        """Subscribe, and begin without tracks."""
        held(self._tracker).reset()
        self._ego = EgoReader(
            self, self.p['ego_motion'], self.p['odom_frame'], held(self._rig).frame_id
        )
        self._map = MapReader(self, self._ego, held(self._rig).frame_id)
        self._windows_in = diagnostics.RateCounter()
        self._missed = MessageLossCounter(self.refuse)
        self._windows_out = 0
        self._refused = self._detections_cut = self._resets = 0
        self._track_count = 0
        self._last_in_s: float | None = None
        self._last_ns = 0
        self._highest_id = self._identity_count = 0
        self._flow = WindowFlow()
        self._update, self._latency = diagnostics.LatencyStats(), diagnostics.LatencyStats()
        self._subscription = self.create_subscription(
            Detection2DArray,
            'detections',
            self._on_detections,
            qos.RESULTS,
            qos_overriding_options=qos.overridable(),
        )

    def release(self) -> None:
        """Unsubscribe."""
        if self._map is not None:
            self._map.destroy()
            self._map = None
        if self._ego is not None:
            self._ego.destroy()
            self._ego = None
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None

    def parameters_changed(self, changes: dict[str, Any]) -> None:
        """Make a new tracker for a new kind or new thresholds."""
        names = ('tracker', *_THRESHOLDS)
        if any(name in changes and changes[name] != self.p[name] for name in names):
            tracker = self._make(changes)
            if self._tracker is not None:
                # An identity that was published is not given to another vehicle.
                tracker.reset(self._highest_id + 1)
                self._tracker = tracker

    def _make(self, changes: dict[str, Any]) -> Tracker:
        chosen = {name: changes.get(name, self.p[name]) for name in _THRESHOLDS}
        for name, value in chosen.items():
            if value != _OWN_DEFAULT and value < 0:
                raise AvdetError(f'parameter {name}: expected -1 or 0 to 1, found {value:g}')
        thresholds = {
            _THRESHOLDS[name]: value for name, value in chosen.items() if value != _OWN_DEFAULT
        }
        rig = self._rig or self.load_rig()  # parameters may change before the node is configured
        return make_tracker(changes.get('tracker', self.p['tracker']), rig, **thresholds)

    def _on_detections(self, message: Detection2DArray, info: dict[str, Any]) -> None:
        self._last_in_s = time.monotonic()
        self._windows_in.add()
        if self._subscription is not None:
            self._missed.add(self._subscription, info)
        received_ns, began = self.now_ns(), time.perf_counter()
        try:
            instant_ns = stamp_ns(message)
            detections = self._decode(message, instant_ns)
            if instant_ns < self._last_ns:
                self._resets += 1
                self._highest_id = self._identity_count = 0
            tracks = self._update_tracks(instant_ns, detections)
        except AvdetError as error:
            self._refused += 1
            self.refuse('detections', str(error))
            return
        self._last_ns = instant_ns
        milliseconds = (time.perf_counter() - began) * 1e3
        tracked_ns = self.now_ns()
        self._tracks.publish(encode_tracks(message.header, tracks))
        self._windows_out += 1
        end_ns = instant_ns - round(self.p['label_offset_s'] * 1e9)
        sent_ns = self.now_ns()
        late_ms = (sent_ns - end_ns) * 1e-6
        self._ground.annotate(message.header, tracks)
        self._publish_ground(instant_ns, end_ns)
        self._track_count = len(tracks)
        self._count([track.track_id for track in tracks])
        self._update.add(milliseconds)
        self._latency.add(late_ms)
        self._flow.add(self.now_ns(), instant_ns, late_ms)
        self.publish_number(self._tracker_ms, milliseconds)
        self.publish_number(self._latency_ms, late_ms)
        self._steps.publish(end_ns, received=received_ns, tracked=tracked_ns, sent=sent_ns)

    def _update_tracks(self, instant_ns: int, detections: Detections) -> list[Track]:
        if isinstance(self._tracker, GroundTracker):
            ego = held(self._ego).at(instant_ns * 1e-9)
            return self._tracker.update(instant_ns * 1e-9, detections, ego)
        return held(self._tracker).update(instant_ns * 1e-9, detections)

    def _publish_ground(self, instant_ns: int, end_ns: int) -> None:
        """Publish vehicles in metres, predicted from the boxes' instant to the window's end."""
        if not isinstance(self._tracker, GroundTracker):
            return
        ahead_s = min(max((end_ns - instant_ns) * 1e-9, 0.0), _LONGEST_AHEAD_S)
        later_ns = instant_ns + round(ahead_s * 1e9)
        vehicles = self._tracker.vehicles(ahead_s, held(self._ego).at(later_ns * 1e-9))
        self._count([vehicle.track_id for vehicle in vehicles])
        head = encode_header(later_ns, held(self._rig).frame_id)
        self._ground.publish(head, vehicles)
        self._ground.publish_hidden(head, vehicles, held(self._rig).camera, held(self._map))

    def _count(self, ids: list[int]) -> None:
        """Count identities: they ascend, also in the order in which they are first published."""
        self._identity_count += sum(identity > self._highest_id for identity in ids)
        self._highest_id = max([self._highest_id, *ids])

    def _decode(self, message: Detection2DArray, instant_ns: int) -> Detections:
        topic = self.resolve_topic_name('detections')
        if instant_ns <= 0:
            raise AvdetError(f'{topic}: expected a stamp in the header, found {instant_ns} ns')
        detections, _ = decode_detections(message, self._rig)
        boxes, scores = detections.boxes_px, detections.scores
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise AvdetError(f'{topic}: expected finite boxes and scores, found NaN or infinity')
        if np.abs(boxes).max(initial=0) > _LARGEST_PX or (boxes[:, 2:] < boxes[:, :2]).any():
            raise AvdetError(
                f'{topic}: expected boxes in pixels of a size of at least 0, found others'
            )
        if scores.min(initial=0) < 0 or scores.max(initial=1) > 1:
            raise AvdetError(f'{topic}: expected scores from 0 to 1, found others')
        order = np.argsort(-scores, kind='stable')
        limit = self.p['max_detections']
        self._detections_cut += max(0, len(order) - limit)
        if len(order) > limit:
            sentence = f'{topic}: {len(order)} detections at once, the best {limit} are tracked'
            self.refuse('many', sentence)
        return detections.only(order[:limit])

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report windows, tracks and the latency of the whole chain."""
        silent = self.explain_silence(report, self._subscription, self._last_in_s, may_end=True)
        if self._subscription is not None:
            self.publisher_watch.report_publishers(report, self._subscription, 'one detector')
        report.value(
            tracker=self.p['tracker'],
            windows_in=self._windows_in.count,
            windows_out=self._windows_out,
            windows_per_second=self._windows_in.per_second(),
            windows_missed=self._missed.count,
            windows_refused=self._refused,
            detections_cut=self._detections_cut,
            tracks_alive=self._track_count,
            tracks=self._identity_count,
            time_jumps=self._resets,
        )
        if isinstance(self._tracker, GroundTracker):
            held(self._ego).diagnose(report)
            held(self._map).diagnose(report)
            self._ground.diagnose(report)
        self._update.add_to(report, 'tracker')
        self._latency.add_to(report, 'latency')
        if not silent:
            for sentence in self._flow.sentences(self.now_ns()):
                report.warn(sentence)
        if not silent and report.level == diagnostics.OK:
            report.ok(f'{self._track_count} tracks alive')
