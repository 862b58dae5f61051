"""Features from one node to another within a process, as an array instead of a message.

Nodes of one process (`avdet_ros.nodes.main.composed`) share a `FeatureHandOver`. It has topics
as ROS has, so that remapped names hold for it as well: a node takes from it what another one
publishes under the very same name, and subscribes to everything else.
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
    """What a message on topic `spectrogram` holds; nobody writes into it.

    Attributes:
        features: (channels, n_mels, frames) float32.
        end_ns: ROS time of the window's end.
    """

    features: np.ndarray
    end_ns: int


class HandedOver:
    """Stands for the subscription of the node that takes, as far as diagnostics look at it.

    Attributes:
        topic_name: full name.
        msg_type: class of the messages that others get.
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
        """Take nothing any more; a call that is under way has ended when this returns."""
        return self._hand_over.unsubscribe(self)


class FeatureHandOver:
    """Hands windows to whoever takes them; safe to use from any thread."""

    def __init__(self) -> None:
        """Without topics."""
        self._lock = threading.Lock()
        self._offered: set[str] = set()
        self._takers: list[HandedOver] = []

    def offer(self, topic_name: str) -> None:
        """Say that a node of this process publishes this topic.

        Args:
            topic_name: full name.
        """
        self._offered.add(topic_name)

    def offers(self, topic_name: str) -> bool:
        """Whether a node of this process publishes this topic."""
        return topic_name in self._offered

    def subscribe(self, topic_name: str, take: Callable[[FeatureWindow], None]) -> HandedOver:
        """Take every window of a topic from now on.

        Args:
            topic_name: full name.
            take: gets them on the thread of the node that publishes, which waits meanwhile.
        """
        taker = HandedOver(self, topic_name, take)
        with self._lock:
            self._takers.append(taker)
        return taker

    def unsubscribe(self, taker: HandedOver) -> bool:
        """Undo `subscribe`; whether it was subscribed."""
        with self._lock:
            if taker not in self._takers:
                return False
            self._takers.remove(taker)
            return True

    def put(self, topic_name: str, window: FeatureWindow) -> bool:
        """Hand a window over; whether somebody took it."""
        with self._lock:
            takers = [taker for taker in self._takers if taker.topic_name == topic_name]
            for taker in takers:
                taker.take(window)
        return bool(takers)
