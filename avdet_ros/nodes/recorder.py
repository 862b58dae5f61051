"""Node recorder: topics into an MCAP bag, byte for byte as they came over DDS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray, LabelInfo

from avdet_ros.bags.writer import BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.lifecycle import AvdetNode

TYPES = {
    'audio': Image,
    'spectrogram': Image,
    'image': Image,
    'overlay': Image,
    'detections': Detection2DArray,
    'tracks': Detection2DArray,
    'truth': Detection2DArray,
    'label_info': LabelInfo,
}
"""What can be recorded, by relative topic name."""

_ASK_ALL = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)


class RecorderNode(AvdetNode):
    """Writes what it hears; a full disk ends the recording and nothing else."""

    NAME = 'recorder'

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._subscriptions_by_topic: dict[str, Subscription] = {}
        self._writer: BagWriter | None = None

    def load(self) -> None:
        """Check the parameters."""
        if not self.p['path']:
            raise AvdetError('parameter path: expected the folder of a new bag, found none')
        for topic in self.p['topics']:
            if topic not in TYPES:
                known = ', '.join(TYPES)
                raise AvdetError(f'parameter topics: expected some of {known}, found {topic!r}')

    def acquire(self) -> None:
        """Make the bag and subscribe."""
        path = Path(self.p['path'])
        number = 1
        while path.exists():  # a respawned recorder keeps what was there
            number += 1
            path = path.with_name(f'{Path(self.p["path"]).name}_{number}')
        self._writer = BagWriter(path)
        self._stopped = ''
        self._counts = dict.fromkeys(self.p['topics'], 0)
        for topic in self.p['topics']:
            self._subscribe(topic)

    def _subscribe(self, topic: str) -> None:
        kind = TYPES[topic]
        type_name = f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'
        asked = qos.LATCHED if topic == 'label_info' else _ASK_ALL

        def take(data: bytes) -> None:
            self._write(topic, subscription.topic_name, type_name, data)

        subscription = self.create_subscription(
            kind, topic, take, asked, raw=True, qos_overriding_options=qos.overridable()
        )
        self._subscriptions_by_topic[topic] = subscription

    def release(self) -> None:
        """Unsubscribe and close the bag."""
        for subscription in self._subscriptions_by_topic.values():
            self.destroy_subscription(subscription)
        self._subscriptions_by_topic.clear()
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except AvdetError as error:
                self.get_logger().error(str(error))

    def _write(self, topic: str, name: str, type_name: str, data: bytes) -> None:
        if self._writer is None or self._stopped:
            return
        try:
            self._writer.write(name, type_name, data, max(self.now_ns(), 0))
            self._counts[topic] += 1
        except AvdetError as error:
            self._stopped = str(error)
            self.get_logger().error(f'{error}; the recording has ended')

    def diagnose(self, report: diagnostics.Report) -> None:
        """Messages by topic."""
        if self._stopped:
            report.error(f'{self._stopped}; the recording has ended')
        elif not sum(self._counts.values()) and self.active_s > 2:
            report.warn('nothing recorded yet: ' + self._why())
        report.value(path=self._writer.path, messages=self._writer.messages, **self._counts)
        if report.level == diagnostics.OK:
            report.ok(f'{self._writer.messages} messages in {self._writer.path}')

    def _why(self) -> str:
        first = next(iter(self._subscriptions_by_topic.values()))
        return self.listening.why_silent(first, self.active_s)
