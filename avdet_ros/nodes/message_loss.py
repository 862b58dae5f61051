"""Count messages that were published but never received."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from avdet_ros.nodes.adaptive import AdaptiveSubscription
from avdet_ros.nodes.lifecycle import AvdetNode


class MessageLossCounter:
    """Counts the missing messages of a subscription.

    DDS numbers the messages that a publisher sends. A message whose number is missing was
    overwritten in a queue before this process had time for it, or was lost on the way. Messages
    that the publisher did not send have no number.

    Attributes:
        count: number of missing messages.
    """

    def __init__(self, refuse: Callable[[str, str], None]) -> None:
        """Begin with none.

        Args:
            refuse: `AvdetNode.refuse`, or another function to call at each loss.
        """
        self.count = 0
        self._refuse = refuse
        self._newest: int | None = None

    def begin(self) -> None:
        """Begin another subscription; messages sent before it do not count as missing."""
        self._newest = None

    def add(
        self, subscription: Subscription | AdaptiveSubscription, info: Mapping[str, Any]
    ) -> None:
        """Check the number of a message that arrived.

        Args:
            subscription: subscription of the message.
            info: what rclpy passes to the callback besides the message.
        """
        number = info['publication_sequence_number']  # None where the middleware has no numbers
        before, self._newest = self._newest, number
        if subscription.get_publisher_count() != 1:  # the numbers of several are mixed
            self._newest = None
        elif before is None or number is None:
            return
        elif number > before + 1:  # a new publisher begins with 1
            self.count += number - before - 1
            topic = subscription.topic_name
            self._refuse(
                f'missed on {topic}',
                f'{topic}: {number - before - 1} messages were not received: they were lost on '
                'the way, or this process had no time to take them',
            )


class CountedSubscriptions:
    """Creates subscriptions of a node whose missing messages are counted."""

    def __init__(self, node: AvdetNode) -> None:
        """Begin with none.

        Args:
            node: node that subscribes, and warns at each loss.
        """
        self._node = node
        self._counters: dict[str, MessageLossCounter] = {}

    @property
    def count(self) -> int:
        """Number of missing messages, including those of ended subscriptions."""
        return sum(counter.count for counter in self._counters.values())

    def create_subscription(  # named as the node's, so that a test finds every topic
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[[Any], None],
        profile: QoSProfile | int,
        *,
        warn: bool = True,
        **options: Any,
    ) -> Subscription | AdaptiveSubscription:
        """Create a subscription of the node.

        Args:
            msg_type: class of the messages.
            topic: relative or full name.
            callback: receives the messages.
            profile: requested QoS.
            warn: whether to warn at a loss; pictures for people are only counted.
            **options: further ones of the node's `create_subscription`.
        """
        refuse = self._node.refuse if warn else _say_nothing
        counter = self._counters.setdefault(topic, MessageLossCounter(refuse))
        counter.begin()

        def take(message: Any, info: Mapping[str, Any]) -> None:
            if (
                created
            ):  # else it came before `create_subscription` has returned, on another thread
                counter.add(created[0], info)
            callback(message)

        created: list[Subscription | AdaptiveSubscription] = []
        created.append(self._node.create_subscription(msg_type, topic, take, profile, **options))
        return created[0]


def _say_nothing(key: str, sentence: str) -> None:
    pass
