"""Pass features from one node to another within a process, as an array instead of a message.

Nodes of one process (`avdet_ros.nodes.main.composed`) share a `FeatureHandOver`. It has topics
like ROS, so that remapped names apply to it as well: a node takes from it what another one
publishes under exactly the same name, and subscribes to everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading

import numpy as np
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from avdet_ros.nodes import qos


@dataclass(frozen=True)
class FeatureWindow:
    """Content of a message on topic `spectrogram`; must not be modified.

    Attributes:
        features: (channels, n_mels, frames) float32.
        end_ns: ROS time of the window's end.
    """

    features: np.ndarray
    end_ns: int


class HandedOver:
    """Replaces the receiving node's subscription, as far as diagnostics use it.

    Attributes:
        topic_name: full name.
        msg_type: class of the messages that other subscribers receive.
        qos_profile: what a subscription would request.
    """

    msg_type = Image

    def __init__(
        self, hand_over: FeatureHandOver, topic_name: str, take: Callable[[FeatureWindow], None]
    ) -> None:
        """Made by `FeatureHandOver.subscribe`."""
        self.topic_name = topic_name
        self.qos_profile: QoSProfile = qos.ASK_SPECTROGRAM
        self.take = take
        self._hand_over = hand_over

    def destroy(self) -> bool:
        """Stop receiving; a call in progress has ended when this returns."""
        return self._hand_over.unsubscribe(self)


class FeatureHandOver:
    """Hands windows to their receivers; safe to use from any thread."""

    def __init__(self) -> None:
        """Begin without topics."""
        self._lock = threading.Lock()
        self._offered: set[str] = set()
        self._receivers: list[HandedOver] = []

    def offer(self, topic_name: str) -> None:
        """Announce that a node of this process publishes this topic.

        Args:
            topic_name: full name.
        """
        self._offered.add(topic_name)

    def offers(self, topic_name: str) -> bool:
        """Whether a node of this process publishes this topic."""
        return topic_name in self._offered

    def subscribe(self, topic_name: str, take: Callable[[FeatureWindow], None]) -> HandedOver:
        """Receive every window of a topic from now on.

        Args:
            topic_name: full name.
            take: receives them on the thread of the publishing node, which waits meanwhile.
        """
        receiver = HandedOver(self, topic_name, take)
        with self._lock:
            self._receivers.append(receiver)
        return receiver

    def unsubscribe(self, receiver: HandedOver) -> bool:
        """Undo `subscribe`; return whether it was subscribed."""
        with self._lock:
            if receiver not in self._receivers:
                return False
            self._receivers.remove(receiver)
            return True

    def put(self, topic_name: str, window: FeatureWindow) -> bool:
        """Hand a window over; return whether somebody received it."""
        with self._lock:
            receivers = [
                receiver for receiver in self._receivers if receiver.topic_name == topic_name
            ]
            for receiver in receivers:
                receiver.take(window)
        return bool(receivers)
