"""Subscriptions that take what the publishers offer, whenever these change their minds.

A driver that comes back with best effort where it was reliable, or latches what it sent before,
would be silent for a subscription that requests more, or not this. What may be requested is
looked at again and again, and a subscription that does not fit is made anew.
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
    """Stands for a `Subscription` that is replaced when the publishers offer something else.

    A reliability that a user gives as a parameter is left as it is.
    """

    def __init__(
        self, node: Node, msg_type: Any, topic: str, callback: Any, profile: Any, **options: Any
    ) -> None:
        """Subscribe.

        Args:
            node: whose.
            msg_type: class of the messages.
            topic: relative or full name.
            callback: takes them.
            profile: what is requested where the publishers offer it.
            **options: of `Node.create_subscription`.
        """
        self._node = node
        self._arguments = (msg_type, topic, callback)
        self._subscription = Node.create_subscription(
            node, *self._arguments, copy(profile), **options
        )
        options.pop('qos_overriding_options', None)  # what they say is in the profile now
        self._options = options
        name = f'qos_overrides.{self.topic_name}.subscription.reliability'
        self._fixed = name in getattr(node, '_parameter_overrides', {})

    def __getattr__(self, name: str) -> Any:
        """Everything else is the subscription's."""
        if name == '_subscription':  # there is none yet
            raise AttributeError(name)
        return getattr(self._subscription, name)

    @property
    def subscription(self) -> Subscription:
        """The one there is now."""
        return self._subscription

    def adapt(self, may_latch: bool = False) -> str:
        """Request less where a publisher offers less than is requested.

        It is not raised again when the publishers offer more: a new subscription misses what is
        sent until they have found it.

        Args:
            may_latch: request what was sent before, too, where all publishers keep that.

        Returns:
            A sentence when the subscription was made anew, else ''.
        """
        infos, now = self.publishers(), self._subscription.qos_profile
        wanted = copy(now)
        if any(incompatible_policies(info.qos_profile, now) for info in infos):
            wanted = fitting(now, infos)
            if self._fixed:
                wanted.reliability = now.reliability
        elif may_latch and all_latched(infos):
            wanted.durability = DurabilityPolicy.TRANSIENT_LOCAL
        if same_policies(wanted, now):
            return ''
        self.replace(wanted)
        names = ', '.join(sorted({info.node_name for info in infos}))
        return f'{self.topic_name} is requested {words(wanted)} now, as {names} offers it'

    def publishers(self) -> list[TopicEndpointInfo]:
        """Who publishes messages of its type on its topic."""
        infos = self._node.get_publishers_info_by_topic(self.topic_name)
        kind = type_name(self._arguments[0])
        return [info for info in infos if info.topic_type == kind]

    def replace(self, profile: QoSProfile) -> None:
        """Subscribe with another profile in place of the present one."""
        before = self._subscription
        self._subscription = Node.create_subscription(
            self._node, *self._arguments, copy(profile), **self._options
        )
        Node.destroy_subscription(self._node, before)

    def destroy(self) -> bool:
        """Unsubscribe."""
        return Node.destroy_subscription(self._node, self._subscription)


def fitting(requested: QoSProfile, infos: list[TopicEndpointInfo]) -> QoSProfile:
    """The profile nearest to what is requested that every publisher can serve."""
    offers = [info.qos_profile for info in infos]
    profile = copy(requested)
    if any(offer.reliability == ReliabilityPolicy.BEST_EFFORT for offer in offers):
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    if any(offer.durability == DurabilityPolicy.VOLATILE for offer in offers):
        profile.durability = DurabilityPolicy.VOLATILE
    return profile


def all_latched(infos: list[TopicEndpointInfo]) -> bool:
    """Whether all publishers keep what they sent for who comes later."""
    return bool(infos) and all(is_latched(info.qos_profile) for info in infos)


def is_latched(profile: QoSProfile) -> bool:
    """Whether what was sent before is kept, or requested."""
    return profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


def same_policies(a: QoSProfile, b: QoSProfile) -> bool:
    """Whether two profiles request the same of a publisher."""
    return (a.reliability, a.durability) == (b.reliability, b.durability)


def words(profile: QoSProfile) -> str:
    """A profile as a person would say it."""
    effort = profile.reliability == ReliabilityPolicy.BEST_EFFORT
    return f'{"best effort" if effort else "reliable"}{", latched" if is_latched(profile) else ""}'
