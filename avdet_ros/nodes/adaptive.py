"""Subscriptions that adapt to the QoS that publishers offer, also when it changes.

A driver may come back with best effort instead of reliable, or latch its messages. A subscription
that requests more than is offered, or does not request latched messages, would receive nothing. So
the offers are checked repeatedly, and a subscription that does not fit is created again.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from avdet_ros.nodes.qos import incompatible_policies, type_name


class AdaptiveSubscription:
    """Wraps a `Subscription` that is replaced when the publishers offer another QoS.

    A reliability that a user sets as a parameter is kept.
    """

    def __init__(
        self, node: Node, msg_type: Any, topic: str, callback: Any, profile: Any, **options: Any
    ) -> None:
        """Subscribe.

        Args:
            node: node that subscribes.
            msg_type: class of the messages.
            topic: relative or full name.
            callback: receives the messages.
            profile: QoS to request where the publishers offer it.
            **options: further ones of `Node.create_subscription`.
        """
        self._node = node
        self._arguments = (msg_type, topic, callback)
        self._subscription = Node.create_subscription(
            node, *self._arguments, copy(profile), **options
        )
        options.pop('qos_overriding_options', None)  # they are part of the profile now
        self._options = options
        name = f'qos_overrides.{self.topic_name}.subscription.reliability'
        self._fixed = name in getattr(node, '_parameter_overrides', {})

    def __getattr__(self, name: str) -> Any:
        """Forward all other attributes to the subscription."""
        if name == '_subscription':  # not created yet
            raise AttributeError(name)
        return getattr(self._subscription, name)

    @property
    def subscription(self) -> Subscription:
        """The current subscription."""
        return self._subscription

    def adapt(self, may_latch: bool = False) -> str:
        """Request less where a publisher offers less than is requested.

        The request is not raised again when publishers offer more: a new subscription misses the
        messages that are sent until it is discovered.

        Args:
            may_latch: also request earlier messages where all publishers keep them.

        Returns:
            A sentence if the subscription was created again, else ''.
        """
        infos, current = self.publishers(), self._subscription.qos_profile
        requested = copy(current)
        if any(incompatible_policies(info.qos_profile, current) for info in infos):
            requested = fitting(current, infos)
            if self._fixed:
                requested.reliability = current.reliability
        elif may_latch and all_latched(infos):
            requested.durability = DurabilityPolicy.TRANSIENT_LOCAL
        if same_policies(requested, current):
            return ''
        self.replace(requested)
        names = ', '.join(sorted({info.node_name for info in infos}))
        return f'{self.topic_name} is requested {words(requested)} now, as {names} offers it'

    def publishers(self) -> list[TopicEndpointInfo]:
        """Publishers of messages of its type on its topic."""
        infos = self._node.get_publishers_info_by_topic(self.topic_name)
        kind = type_name(self._arguments[0])
        return [info for info in infos if info.topic_type == kind]

    def replace(self, profile: QoSProfile) -> None:
        """Subscribe with another profile instead of the current one."""
        before = self._subscription
        self._subscription = Node.create_subscription(
            self._node, *self._arguments, copy(profile), **self._options
        )
        Node.destroy_subscription(self._node, before)

    def destroy(self) -> bool:
        """Unsubscribe."""
        return Node.destroy_subscription(self._node, self._subscription)


def fitting(requested: QoSProfile, infos: list[TopicEndpointInfo]) -> QoSProfile:
    """Return the profile closest to the requested one that every publisher can serve."""
    offers = [info.qos_profile for info in infos]
    profile = copy(requested)
    if any(offer.reliability == ReliabilityPolicy.BEST_EFFORT for offer in offers):
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    if any(offer.durability == DurabilityPolicy.VOLATILE for offer in offers):
        profile.durability = DurabilityPolicy.VOLATILE
    return profile


def all_latched(infos: list[TopicEndpointInfo]) -> bool:
    """Whether all publishers keep earlier messages for late subscribers."""
    return bool(infos) and all(is_latched(info.qos_profile) for info in infos)


def is_latched(profile: QoSProfile) -> bool:
    """Whether earlier messages are kept, or requested."""
    return profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


def same_policies(a: QoSProfile, b: QoSProfile) -> bool:
    """Whether two profiles request the same of a publisher."""
    return (a.reliability, a.durability) == (b.reliability, b.durability)


def words(profile: QoSProfile) -> str:
    """Describe a profile in words."""
    effort = profile.reliability == ReliabilityPolicy.BEST_EFFORT
    return f'{"best effort" if effort else "reliable"}{", latched" if is_latched(profile) else ""}'
