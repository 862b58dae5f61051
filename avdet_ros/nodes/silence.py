"""Why nothing comes in on a topic, in one sentence."""

from __future__ import annotations

from lifecycle_msgs.srv import GetState
from rclpy.node import Node
from rclpy.subscription import Subscription

from avdet_ros.nodes.qos import incompatible_policies

SILENT_AFTER_S = 2.0
"""Nothing for so long needs an explanation."""


class Listening:
    """Looks at the other end of a subscription when it is silent."""

    def __init__(self, node: Node) -> None:
        """Look from this node."""
        self._node = node
        self._states: dict[str, str] = {}
        self._clients: dict[str, object] = {}

    def publishers(self, subscription: Subscription) -> int:
        """How many publishers of the right type there are."""
        infos = self._node.get_publishers_info_by_topic(subscription.topic_name)
        return sum(info.topic_type == _type_name(subscription) for info in infos)

    def why_silent(self, subscription: Subscription, since_s: float) -> str:
        """The reason why a subscription that matters is silent.

        Args:
            subscription: it.
            since_s: seconds since the last message, or since the subscription began.
        """
        topic = subscription.topic_name
        infos = self._node.get_publishers_info_by_topic(topic)
        if not infos:
            return f'no publisher on {topic}'
        asked = subscription.qos_profile
        wanted = _type_name(subscription)
        names = []
        for info in infos:
            name = _full_name(info.node_namespace, info.node_name)
            if info.topic_type != wanted:
                return f'{topic}: {name} publishes {info.topic_type}, expected {wanted}'
            policies = incompatible_policies(info.qos_profile, asked)
            if policies:
                return f'{topic}: QoS of publisher {name} is incompatible: {policies}'
            names.append(name)
        for name in names:
            state = self._state(name)
            if state and state != 'active':
                return f'{topic}: its publisher {name} is {state}, not active'
        return f'nothing on {topic} from {", ".join(names)} for {since_s:.0f} s'

    def close(self) -> None:
        """Let go of the clients."""
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients.clear()
        self._states.clear()

    def _state(self, name: str) -> str:
        """Lifecycle state of a node as of the last question, and ask again; '' if unknown."""
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._node.create_client(GetState, f'{name}/get_state')
        if client.service_is_ready():
            future = client.call_async(GetState.Request())
            future.add_done_callback(lambda done: self._answered(name, done))
        else:
            self._states.pop(name, None)
        return self._states.get(name, '')

    def _answered(self, name: str, future: object) -> None:
        if future.exception() is None:
            self._states[name] = future.result().current_state.label


def _full_name(namespace: str, name: str) -> str:
    return f'{namespace.rstrip("/")}/{name}'


def _type_name(subscription: Subscription) -> str:
    kind = subscription.msg_type
    return '/'.join([kind.__module__.split('.')[0], 'msg', kind.__name__])
