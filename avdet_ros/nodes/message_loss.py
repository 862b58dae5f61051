"""Messages that were published and never taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.subscription import Subscription

from avdet_ros.nodes.adaptive import AdaptiveSubscription


class MessageLossCounter:
    """Counts what is missing of a subscription's messages.

    DDS numbers what a publisher sends. A number left out was overwritten in a queue before this
    process had time for it, or was lost on the way; what the publisher did not send has none.

    Attributes:
        count: how many.
    """

    def __init__(self, refuse: Callable[[str, str], None]) -> None:
        """Begin with none.

        Args:
            refuse: `AvdetNode.refuse`, called at each loss.
        """
        self.count = 0
        self._refuse = refuse
        self._newest: int | None = None

    def add(
        self, subscription: Subscription | AdaptiveSubscription, info: Mapping[str, Any]
    ) -> None:
        """Check the number of a message that came.

        Args:
            subscription: of the message.
            info: what rclpy hands to the callback beside the message.
        """
        number = info['publication_sequence_number']  # None where the middleware has no numbers
        before, self._newest = self._newest, number
        if subscription.get_publisher_count() != 1:  # the numbers of several are mixed
            self._newest = None
        elif before is not None and number > before + 1:  # a new publisher begins with 1
            self.count += number - before - 1
            topic = subscription.topic_name
            self._refuse(
                'missed',
                f'{topic}: {number - before - 1} messages never came: they were lost on the way, '
                'or this process had no time to take them',
            )
