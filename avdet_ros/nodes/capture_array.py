"""The array that node capture computes features for: working channels and calibration."""

from __future__ import annotations

from dataclasses import replace
import threading

import numpy as np
from rclpy.publisher import Publisher
from std_msgs.msg import String

from avdet_ros.audio.array_changes import Change
from avdet_ros.audio.array_watch import ArrayWatch
from avdet_ros.audio.channel_sums import ChannelSums
from avdet_ros.audio.feature_stream import FeatureStream
from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.living_channels import LivingChannels
from avdet_ros.audio.self_calibration import SelfCalibration, calibrated_rig
from avdet_ros.messages.array_state import array_text
from avdet_ros.nodes import diagnostics
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.rig import Rig
from avdet_ros.sources.base import Block


class CaptureArray:
    """Monitors the array while sound comes in, and publishes each change on topic `array`.

    Dead channels are excluded at once, on the thread that delivers the sound. A slow watch on its
    own thread estimates gains, delays and positions (parameter `array_watch_s`).

    Attributes:
        features: computes features for the current array; replaced, never modified. Only the
            computing thread uses its frames.
        watch: the slow watch, or None without one.
    """

    def __init__(self, node: AvdetNode, rig: Rig, publisher: Publisher, pair_count: int) -> None:
        """Publish the array of the rig file and start the watch.

        Args:
            node: node whose parameters and log are used.
            rig: rig as in the rig file.
            publisher: publisher of the latched topic `array`.
            pair_count: number of microphone pairs in the features, see `FrontEnd`.
        """
        self._pair_count = pair_count
        self._node, self._rig, self._publisher = node, rig, publisher
        self._living = LivingChannels(rig.sample_rate_hz, rig.alive)
        self._lock = threading.Lock()
        self.watch: ArrayWatch | None = None
        self._use(rig)
        if node.p['array_watch_s'] > 0:
            self.watch = ArrayWatch(rig, node.p['array_watch_s'], self._on_changes)
            self.watch.start()

    def stop(self) -> None:
        """End the watch's thread, after any estimate in progress."""
        if self.watch is not None:
            self.watch.stop()
            self.watch = None

    def add(self, block: Block, sums: ChannelSums) -> None:
        """Take the next block of the stream and its sums; never waits for the watch."""
        if self._living.add(sums):
            self._use(self._calibrated)
        if self.watch is not None:
            self.watch.add(block.samples, block.lost)

    def clear(self) -> None:
        """Start again: the next sound does not continue the earlier one."""
        if self.watch is not None:
            self.watch.clear()

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report the excluded channels and the watch's findings."""
        excluded = np.flatnonzero(self._rig.alive & ~self._living.alive)
        report.value(channels_out=' '.join(self._rig.names[i] for i in excluded))
        for i in excluded:
            channel = self._rig.channels[i]
            report.warn(f'{self._rig.names[i]} (channel {channel}) is dead and left out')
        if (watch := self.watch) is None:
            return
        report.value(
            array_watch=watch.summary,
            array_estimates=watch.estimates,
            array_calibrated=self._calibrated is not self._rig,
        )
        if not self._node.p['auto_calibrate']:
            for change in watch.changes:
                report.warn(f'the array has changed: {change.sentence}')

    def _use(self, calibrated: Rig) -> None:
        """Use and publish a calibration of the rig, without the channels that have died since."""
        with self._lock:  # the stream's thread and the watch's
            self._calibrated = calibrated
            rig = replace(calibrated, alive=calibrated.alive & self._living.alive)
            self.features = FeatureStream(FrontEnd.of(rig, self._pair_count))
            self._publisher.publish(String(data=array_text(rig)))

    def _on_changes(self, result: SelfCalibration, changes: list[Change]) -> None:
        """Handle the watch's findings, on its thread."""
        log = self._node.get_logger()
        words = '; '.join(change.sentence for change in changes)
        if not self._node.p['auto_calibrate']:
            log.warning(f'the array differs from the rig: {words}')
            return
        rig = calibrated_rig(result, self._calibrated)
        self._use(rig)
        if self.watch is not None:
            self.watch.use_rig(rig)
        log.warning(f'the array was calibrated again: {words}')
