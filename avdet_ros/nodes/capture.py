"""Node capture: sound in, one spectrogram per hop out."""

from __future__ import annotations

from dataclasses import dataclass
import threading
import time
from typing import Any

import numpy as np
from rclpy.clock import JumpHandle, JumpThreshold, TimeJump
from rclpy.duration import Duration
from sensor_msgs.msg import Image
from std_msgs.msg import Float64, String

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.window import Window, WindowBuffer
from avdet_ros.detection.model_file import front_end_for
from avdet_ros.errors import AvdetError
from avdet_ros.messages.encode import encode_header, encode_spectrogram
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.capture_array import CaptureArray
from avdet_ros.nodes.capture_audio import AUDIO_S, AudioPublisher
from avdet_ros.nodes.capture_topic import TopicSound
from avdet_ros.nodes.capture_truth import TruthPublisher
from avdet_ros.nodes.channel_judge import ChannelJudge
from avdet_ros.nodes.channel_levels import ChannelLevels
from avdet_ros.nodes.hand_over import FeatureWindow
from avdet_ros.nodes.held import held
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.nodes.source_reader import OPEN_S, SourceReader
from avdet_ros.nodes.source_report import report_source
from avdet_ros.nodes.step_times import StepTimes
from avdet_ros.nodes.window_flow import WindowFlow
from avdet_ros.nodes.worker import LatestValueWorker, make_worker
from avdet_ros.parameters import TOPIC
from avdet_ros.paths import DEFAULT_MODEL, share
from avdet_ros.rig import MICROPHONES
from avdet_ros.sources.base import SOURCES, StampedBlock
from avdet_ros.sources.make import make_source

PENDING_WINDOWS = 2
"""Windows that may wait for their features; the oldest is dropped for a newer one."""

READ_S = 0.04
"""Least sound to read at once, unless a window or message needs less: waking the thread costs more
than its work."""


@dataclass(frozen=True)
class _PendingWindow:
    """A window that waits for its features, with the times of its end and of sample 0.

    `taken_ns` is the time at which its last block was taken from the source.
    """

    window: Window
    end_ns: int
    start_ns: int
    taken_ns: int


class CaptureNode(AvdetNode):
    """Publishes `audio` and `spectrogram`; with source `simulation` also `truth` and `drive_time`.

    Four threads: one reads the source, one computes features and publishes, one watches the array
    slowly (`capture_array`), and the executor's serves ROS. None waits for another.
    """

    NAME = 'capture'

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        qos_options = {'qos_overriding_options': qos.overridable()}
        self._spectrogram = self.create_publisher(
            Image, 'spectrogram', qos.OFFER_SPECTROGRAM, **qos_options
        )
        self.hand_over.offer(self._spectrogram.topic_name)
        self._features_ms = self.create_publisher(Float64, 'debug/features_ms', 10)
        self._sent_ms = self.create_publisher(Float64, 'debug/spectrogram_latency_ms', 10)
        self._gap_samples = self.create_publisher(Float64, 'debug/gap_samples', 10)
        self._steps = StepTimes(self)
        self._array_state = self.create_publisher(String, 'array', qos.LATCHED)
        self._array: CaptureArray | None = None
        self._audio: AudioPublisher | None = None
        self._truth: TruthPublisher | None = None
        self._subscription: Any = None
        self._topic_sound: TopicSound | None = None
        self._input: SourceReader | None = None
        self._jump: JumpHandle | None = None
        self._hung_reader: SourceReader | None = None
        self._worker: LatestValueWorker[_PendingWindow] | None = None

    def load(self) -> None:
        """Read the rig and prepare the source."""
        self._rig = self.load_rig()
        front_end = self._front_end()
        self._pair_count = front_end.pair_count
        # Create filters and plan transforms before the first window needs them.
        front_end.compute(np.zeros((MICROPHONES, front_end.samples), 'f4'))
        self._window_s, self._grid = front_end.window_s, front_end.hop_length
        self._kind = self.p['source']
        if self._kind != TOPIC:
            parameters = SOURCES.find(self._kind).parameters
            settings = {param.name: self.p[param.name] for param in parameters}
            self._source = make_source(self._kind, self._rig, **settings)

    def _front_end(self) -> FrontEnd:
        """Return the front end that the detector's model requires."""
        try:
            return front_end_for(self._rig, self.p['model'] or share(DEFAULT_MODEL))
        except AvdetError as error:
            # The detector reports what is wrong with it, and levels are useful without a model.
            self.get_logger().warning(f'features are of 12 pairs of microphones: {error}')
            return FrontEnd.of(self._rig)

    def acquire(self) -> None:
        """Open the source and start the threads."""
        if self._hung_reader is not None and self._hung_reader.busy:
            raise AvdetError(
                f'{self._hung_reader.source.label}: expected its driver to release it, '
                'it does not answer; is the sound server stopped?'
            )
        self._lock = threading.Lock()
        self._buffer = self._new_buffer(self.p['hop_s'])
        self._levels = ChannelLevels(self._rig)
        self._array = CaptureArray(self, self._rig, self._array_state, self._pair_count)
        self._judge = ChannelJudge(self._rig.sample_rate_hz, self._levels, self._array)
        self._compute_times, self._latency = diagnostics.LatencyStats(), diagnostics.LatencyStats()
        self._samples, self._windows = diagnostics.RateCounter(), diagnostics.RateCounter()
        self._flow = WindowFlow()
        self._windows_with_gap = self._lost_samples = 0
        self._last_block_s: float | None = None
        self._worker = make_worker(self, 'features', PENDING_WINDOWS, self._publish)
        self._worker.start()
        qos_options = {'qos_overriding_options': qos.overridable()}
        if self._kind == TOPIC:
            self._subscription = self.create_subscription(
                Image, 'audio', self._on_audio, qos.ASK_SOUND, **qos_options
            )
            topic = self._subscription.topic_name
            self._topic_sound = TopicSound(topic, self._rig.sample_rate_hz)
            # Only ROS time can jump under a topic's stamps; other sources count samples.
            back = JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            )
            self._jump = self.get_clock().create_jump_callback(back, post_callback=self._on_jump)
            return
        if self._audio is None:
            self._audio = AudioPublisher(self, self._rig)
        if self._source.has_truth and self._truth is None:
            self._truth = TruthPublisher(self, self._rig, self._source.label)
        self._input = SourceReader(
            self._source,
            lambda: self.now_ns() * 1e-9,
            self._take,
            self._restart,
            self.get_logger().warning,
            self.context.ok,
            OPEN_S if self._source.may_hang else None,
            self._samples_wanted,
        )
        self._input.start()
        if self._source.notice:
            self.get_logger().info(self._source.notice)
        if self._truth is not None:
            self._truth.scene = self._source.scene

    def release(self) -> None:
        """Stop the threads and close the source."""
        if self._input is not None:
            self._input.stop()
            self._hung_reader = self._input if self._input.busy else None
            self._input = None
        if self._array is not None:
            self._array.stop()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if self._jump is not None:
            self._jump.unregister()
            self._jump = None
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._audio is not None:
            self._audio.destroy()
            self._audio = None
        if self._truth is not None:
            self._truth.destroy()
            self._truth = None

    def parameters_changed(self, changes: dict[str, Any]) -> None:
        """Begin a new grid of windows for a new hop."""
        if 'hop_s' in changes and self.state == 'active' and changes['hop_s'] != self.p['hop_s']:
            buffer = self._new_buffer(changes['hop_s'])
            with self._lock:
                self._buffer = buffer

    def _new_buffer(self, hop_s: float) -> WindowBuffer:
        rate_hz = self._rig.sample_rate_hz
        return WindowBuffer(MICROPHONES, rate_hz, self._window_s, hop_s, self._grid)

    # The source's thread, or the executor's for source topic.

    def _samples_wanted(self) -> int:
        """Number of samples to read at once: equal parts of the rest of the next window."""
        least_s = AUDIO_S if held(self._audio).is_wanted(self.p['publish_audio']) else READ_S
        with self._lock:
            missing = self._buffer.samples_missing
        return -(-missing // max(1, int(missing / (least_s * self._rig.sample_rate_hz))))

    def _take(self, stamped: StampedBlock) -> None:
        self._last_block_s = time.monotonic()
        self._samples.add(len(stamped.block.samples))
        self._push(stamped)
        if self._truth is not None:
            self._truth.publish_drive_time(stamped)
        held(self._audio).take(stamped, wanted=self.p['publish_audio'])

    def _on_audio(self, message: Image) -> None:
        try:
            blocks = held(self._topic_sound).take(message)
            self._samples.add(message.height)
            for block in blocks:
                self._push(block)
        except AvdetError as error:
            self.refuse('audio', str(error))

    def _push(self, stamped: StampedBlock) -> None:
        block, taken_ns = stamped.block, self.now_ns()
        self._lost_samples += block.lost
        with self._lock:
            windows = self._buffer.push(block.samples, block.first_sample)
        for window in windows:
            if window.gap_samples:
                self._windows_with_gap += 1
                if self.p['gap_windows'] == 'drop':
                    continue
            end_ns, start_ns = stamped.time_ns(window.end_sample), stamped.time_ns(0)
            held(self._worker).put(_PendingWindow(window, end_ns, start_ns, taken_ns))
        self._judge.add(block)  # after the windows, which others wait for

    def _restart(self) -> None:
        """Start again after the source was reopened; its sample numbers begin at 0."""
        with self._lock:
            self._buffer.reset()
        held(self._worker).clear()
        self._judge.clear()
        if self._audio is not None:
            self._audio.clear()
        if self._truth is not None:
            self._truth.restart()

    def _on_jump(self, jump: TimeJump) -> None:
        held(self._topic_sound).restart()
        self._restart()

    # The worker's thread.

    def _publish(self, pending: _PendingWindow) -> None:
        window, end_ns = pending.window, pending.end_ns
        began_ns, began = self.now_ns(), time.perf_counter()
        features = held(self._array).features.compute(window)
        milliseconds = (time.perf_counter() - began) * 1e3
        computed_ns = self.now_ns()
        built_ns, sent_ns = self._send(features, end_ns)
        self._windows.add()
        late_ms = (sent_ns - end_ns) * 1e-6
        self._compute_times.add(milliseconds)
        self._latency.add(late_ms)
        self._flow.add(sent_ns, end_ns, late_ms)
        self._steps.publish(
            end_ns,
            block=pending.taken_ns,
            handed=began_ns,
            features=computed_ns,
            message=built_ns,
            sent=sent_ns,
        )
        # Marks a window that was sent although samples were lost in it.
        self.publish_number(self._gap_samples, float(window.gap_samples))
        self.publish_number(self._features_ms, milliseconds)
        self.publish_number(self._sent_ms, late_ms)
        if self._truth is not None:
            due_sample = window.end_sample + self._grid  # windows may end this much early
            self._truth.publish(due_sample, pending.start_ns, self.p['hop_s'])

    def _send(self, features: np.ndarray, end_ns: int) -> tuple[int, int]:
        """Hand features over within the process, then publish them to other subscribers.

        Returns:
            ROS times at which the message was built and sent, or the window was handed over.
        """
        built_ns = sent_ns = self.now_ns()
        handed = self.hand_over.put(self._spectrogram.topic_name, FeatureWindow(features, end_ns))
        if self._spectrogram.get_subscription_count():  # it is 1.8 MB
            head = encode_header(end_ns, self._rig.array_frame_id)
            message = encode_spectrogram(head, features)
            built_ns = built_ns if handed else self.now_ns()
            self._spectrogram.publish(message)
            sent_ns = sent_ns if handed else self.now_ns()
        return built_ns, sent_ns

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report samples, windows, losses, clock and channels."""
        topic = self._spectrogram.topic_name
        count = self.count_publishers(topic)
        sentence = f'{count} nodes publish {topic}, expected this one'
        self.publisher_watch.report_count(report, topic, count, sentence)
        finished = False
        if self._input is not None:
            silent_s = time.monotonic() - max(self._last_block_s or 0, self._active_since)
            finished = report_source(report, self._input, self._windows.count, silent_s)
        elif self._subscription is not None:
            self.explain_silence(report, self._subscription, held(self._topic_sound).last_s)
            if self.publisher_watch.count(self._subscription) > 1:
                report.warn(f'several publishers on {self._subscription.topic_name}')
        report.value(
            samples_per_second=self._samples.per_second(),
            windows_out=self._windows.count,
            windows_per_second=self._windows.per_second(),
            windows_dropped=held(self._worker).dropped,
            windows_with_gaps=self._windows_with_gap,
            windows_skipped=self._buffer.skipped_windows,
            samples_lost=self._lost_samples,
            time_jumps=self._topic_sound.restarts if self._topic_sound else 0,
            wrong_stamps=self._topic_sound.wrong_stamps if self._topic_sound else 0,
        )
        self._compute_times.add_to(report, 'features')
        self._latency.add_to(report, 'spectrogram_latency')
        self._levels.add_to(report, quiet=finished)
        held(self._array).diagnose(report)
        if not finished:
            flow = self._flow.sentences(self.now_ns(), held(self._worker).dropped, self.p['hop_s'])
            for sentence in flow:
                report.warn(sentence)
        if report.level == diagnostics.OK and not finished:
            report.ok(f'{self._windows.count} windows sent')
