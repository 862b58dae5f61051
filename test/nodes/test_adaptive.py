"""A subscription that takes what the publishers offer, on a graph that is set by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64

from avdet_ros.nodes.adaptive import AdaptiveSubscription

pytestmark = pytest.mark.ros

RELIABLE, EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
KEPT, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE


def profile(reliability=RELIABLE, durability=VOLATILE, depth=7):
    return QoSProfile(depth=depth, reliability=reliability, durability=durability)


@pytest.fixture
def graph(monkeypatch):
    """Who publishes, and the subscriptions that were made and destroyed."""
    made, ended = [], []

    def create(node, msg_type, topic, callback, its, **options):
        subscription = SimpleNamespace(
            msg_type=msg_type,
            topic_name=f'/avdet/{topic}',
            callback=callback,
            qos_profile=its,
            options=options,
        )
        made.append(subscription)
        return subscription

    monkeypatch.setattr(Node, 'create_subscription', create)
    monkeypatch.setattr(Node, 'destroy_subscription', lambda node, its: ended.append(its) or True)
    graph = SimpleNamespace(made=made, ended=ended, infos=[], asked=[])
    graph.get_publishers_info_by_topic = lambda topic: graph.asked.append(topic) or graph.infos

    def publish(its, name='camera', kind='std_msgs/msg/Float64'):
        info = SimpleNamespace(qos_profile=its, node_name=name, topic_type=kind)
        graph.infos.append(info)

    graph.publish = publish
    return graph


def subscribe(graph, its=None, **options):
    return AdaptiveSubscription(graph, Float64, 'image', print, its or profile(), **options)


def test_it_is_a_subscription_like_another_and_leaves_the_profile_alone(graph):
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
    assert graph.ended == [made]


def test_it_asks_for_less_where_a_publisher_offers_less_and_not_for_more_again(graph):
    adaptive = subscribe(graph, raw=True, qos_overriding_options='how')
    graph.publish(profile(), 'lidar')
    assert adaptive.adapt() == ''
    graph.publish(profile(EFFORT), 'camera')
    graph.publish(profile(EFFORT), 'camera')
    words = '/avdet/image is requested best effort now, as camera, lidar offers it'
    assert adaptive.adapt() == words
    first, second = graph.made
    assert (graph.ended, adaptive.subscription is second) == ([first], True)
    assert (second.qos_profile.reliability, second.qos_profile.depth) == (EFFORT, 7)
    assert second.options == {'raw': True}  # what the user said is in the profile
    assert second.callback is print
    assert adaptive.adapt() == ''
    graph.infos.clear()
    graph.publish(profile())
    assert adaptive.adapt() == ''
    assert len(graph.made) == 2
    assert set(graph.asked) == {'/avdet/image'}


def test_publishers_of_another_type_are_none_of_its(graph):
    adaptive = subscribe(graph)
    graph.publish(profile(EFFORT), kind='std_msgs/msg/String')
    assert adaptive.publishers() == []
    assert adaptive.adapt() == ''


def test_what_a_user_requests_is_kept_and_the_rest_is_adapted(graph):
    name = 'qos_overrides./avdet/image.subscription.reliability'
    graph._parameter_overrides = {name: 'reliable'}
    adaptive = subscribe(graph, profile(RELIABLE, KEPT))
    graph.publish(profile(EFFORT, VOLATILE))
    assert adaptive.adapt() == '/avdet/image is requested reliable now, as camera offers it'
    assert graph.made[1].qos_profile.durability == VOLATILE
    assert adaptive.adapt() == ''
    graph._parameter_overrides = {f'{name}.of_another': 'reliable'}
    assert subscribe(graph).adapt() != ''


def test_what_was_sent_before_is_asked_for_where_all_keep_it_and_only_on_request(graph):
    adaptive = subscribe(graph)
    assert adaptive.adapt(may_latch=True) == ''  # nobody
    graph.publish(profile(RELIABLE, KEPT), 'map')
    assert adaptive.adapt() == ''
    graph.publish(profile(RELIABLE, VOLATILE), 'other')
    assert adaptive.adapt(may_latch=True) == ''
    graph.infos.pop()
    words = '/avdet/image is requested reliable, latched now, as map offers it'
    assert adaptive.adapt(may_latch=True) == words
    assert graph.made[1].qos_profile.durability == KEPT
    graph.publish(profile(EFFORT, VOLATILE), 'other')
    assert adaptive.adapt(may_latch=True).startswith('/avdet/image is requested best effort now')
    assert graph.made[2].qos_profile.durability == VOLATILE
