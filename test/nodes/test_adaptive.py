"""AdaptiveSubscription adapts its QoS profile to what publishers offer, on a fake graph."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64

from avdet_ros.nodes.adaptive import AdaptiveSubscription

pytestmark = pytest.mark.ros

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
LATCHED, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE


def profile(reliability=RELIABLE, durability=VOLATILE, depth=7):
    return QoSProfile(depth=depth, reliability=reliability, durability=durability)


@pytest.fixture
def graph(monkeypatch):
    """A fake ROS graph: its publishers, and the subscriptions created and destroyed."""
    made, destroyed = [], []

    def create(node, msg_type, topic, callback, qos_profile, **options):
        subscription = SimpleNamespace(
            msg_type=msg_type,
            topic_name=f'/avdet/{topic}',
            callback=callback,
            qos_profile=qos_profile,
            options=options,
        )
        made.append(subscription)
        return subscription

    monkeypatch.setattr(Node, 'create_subscription', create)
    monkeypatch.setattr(Node, 'destroy_subscription', lambda node, s: destroyed.append(s) or True)
    graph = SimpleNamespace(made=made, destroyed=destroyed, infos=[], asked=[])
    graph.get_publishers_info_by_topic = lambda topic: graph.asked.append(topic) or graph.infos

    def publish(qos_profile, name='camera', kind='std_msgs/msg/Float64'):
        info = SimpleNamespace(qos_profile=qos_profile, node_name=name, topic_type=kind)
        graph.infos.append(info)

    graph.publish = publish
    return graph


def subscribe(graph, qos_profile=None, **options):
    return AdaptiveSubscription(
        graph, Float64, 'image', print, qos_profile or profile(), **options
    )


def test_adaptive_subscription_wraps_a_subscription_with_its_own_profile(graph):
    asked = profile()
    options = {'raw': True, 'qos_overriding_options': 'how'}
    adaptive = subscribe(graph, asked, **options)
    (made,) = graph.made
    assert (made.msg_type, made.callback, made.options) == (Float64, print, options)
    assert made.qos_profile is not asked
    assert (adaptive.topic_name, adaptive.subscription is made) == ('/avdet/image', True)
    assert adaptive.qos_profile.depth == 7
    with pytest.raises(AttributeError):
        adaptive.colour  # noqa: B018
    with pytest.raises(AttributeError, match='_subscription'):
        AdaptiveSubscription.__new__(AdaptiveSubscription).topic_name  # noqa: B018
    assert adaptive.destroy()
    assert graph.destroyed == [made]


def test_reliability_is_lowered_to_what_publishers_offer_and_not_raised_again(graph):
    adaptive = subscribe(graph, raw=True, qos_overriding_options='how')
    graph.publish(profile(), 'lidar')
    assert adaptive.adapt() == ''
    graph.publish(profile(BEST_EFFORT), 'camera')
    graph.publish(profile(BEST_EFFORT), 'camera')
    words = '/avdet/image is requested best effort now, as camera, lidar offers it'
    assert adaptive.adapt() == words
    first, second = graph.made
    assert (graph.destroyed, adaptive.subscription is second) == ([first], True)
    assert (second.qos_profile.reliability, second.qos_profile.depth) == (BEST_EFFORT, 7)
    assert second.options == {'raw': True}  # the profile already contains the overrides
    assert second.callback is print
    assert adaptive.adapt() == ''
    graph.infos.clear()
    graph.publish(profile())
    assert adaptive.adapt() == ''
    assert len(graph.made) == 2
    assert set(graph.asked) == {'/avdet/image'}


def test_publishers_of_another_type_are_ignored(graph):
    adaptive = subscribe(graph)
    graph.publish(profile(BEST_EFFORT), kind='std_msgs/msg/String')
    assert adaptive.publishers() == []
    assert adaptive.adapt() == ''


def test_qos_overrides_of_the_user_are_kept_and_the_rest_is_adapted(graph):
    name = 'qos_overrides./avdet/image.subscription.reliability'
    graph._parameter_overrides = {name: 'reliable'}
    adaptive = subscribe(graph, profile(RELIABLE, LATCHED))
    graph.publish(profile(BEST_EFFORT, VOLATILE))
    assert adaptive.adapt() == '/avdet/image is requested reliable now, as camera offers it'
    assert graph.made[1].qos_profile.durability == VOLATILE
    assert adaptive.adapt() == ''
    graph._parameter_overrides = {f'{name}.of_another': 'reliable'}
    assert subscribe(graph).adapt() != ''


def test_latching_is_requested_only_if_allowed_and_all_publishers_latch(graph):
    adaptive = subscribe(graph)
    assert adaptive.adapt(may_latch=True) == ''  # no publishers
    graph.publish(profile(RELIABLE, LATCHED), 'map')
    assert adaptive.adapt() == ''
    graph.publish(profile(RELIABLE, VOLATILE), 'other')
    assert adaptive.adapt(may_latch=True) == ''
    graph.infos.pop()
    words = '/avdet/image is requested reliable, latched now, as map offers it'
    assert adaptive.adapt(may_latch=True) == words
    assert graph.made[1].qos_profile.durability == LATCHED
    graph.publish(profile(BEST_EFFORT, VOLATILE), 'other')
    assert adaptive.adapt(may_latch=True).startswith('/avdet/image is requested best effort now')
    assert graph.made[2].qos_profile.durability == VOLATILE
