"""QoS of each topic, and how a user changes it.

Publishers offer RELIABLE: any subscriber may request that or less. Sound and camera images are
requested as BEST_EFFORT, which any publisher can serve. A spectrogram is requested as RELIABLE:
its 1.8 MB travel in many fragments, and best effort loses most windows if a node was started
without the shared memory settings of config/fastdds.xml. Every policy is a parameter, e.g.
``qos_overrides./avdet/spectrogram.subscription.reliability``. In rclpy a wrong value would end the
node, so `check_override` checks it first.
"""

from __future__ import annotations

from dataclasses import replace
import re
from typing import Any

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_check_compatible
from rclpy.qos_overriding_options import QoSOverridingOptions

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param

UNWATCHED_PUBLISHER = PublisherEventCallbacks(use_default_callbacks=False)
UNWATCHED_SUBSCRIPTION = SubscriptionEventCallbacks(use_default_callbacks=False)
"""Turn off rclpy's log of incompatible QoS: for it a node checks two more entities of each topic
each time it waits. Diagnostics explain a silent subscription instead."""

OVERRIDES = 'qos_overrides'
"""First part of the names of QoS parameters."""

_POLICIES = (
    Param(
        'history', 'keep_last', 'what is kept', choices=('keep_last', 'keep_all', 'system_default')
    ),
    Param('depth', 10, 'how many messages are kept', 1, 10_000),
    Param(
        'reliability',
        'reliable',
        'whether losses are mended',
        choices=('reliable', 'best_effort', 'best_available', 'system_default'),
    ),
)
_NAME = re.compile(rf'{OVERRIDES}\./[^.]*\.(?:publisher|subscription)\.(\w+)')

OFFER_SPECTROGRAM = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
"""For the publisher of spectrograms: two seconds are kept for a subscriber that is delayed."""

OFFER_STREAM = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
"""For publishers of sound and images."""

ASK_STREAM = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""For subscribers to images."""

ASK_SOUND = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
"""For subscribers to sound, which comes in many small blocks."""

ASK_SPECTROGRAM = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
"""For subscribers to spectrograms."""

ASK_ODOMETRY = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
"""For subscribers to the ego vehicle's odometry: many small messages; the newest matter."""

ASK_TF = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
"""For subscribers to ``/tf``, as in tf2."""

ASK_MAP = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""For the subscriber to the map of cells; latched if its publisher latches it."""

RESULTS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""For publishers and subscribers of detections and tracks."""

LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""For messages that late subscribers must receive too."""

LATCHED_OF_ALL = QoSProfile(
    depth=100, reliability=LATCHED.reliability, durability=LATCHED.durability
)
"""For recording and playing: several nodes latch a topic such as ``/tf_static``."""


def overridable() -> QoSOverridingOptions:
    """Make history, depth and reliability of a topic parameters of the node."""
    return QoSOverridingOptions.with_default_policies()


def check_override(name: str, value: Any) -> None:
    """Check a QoS parameter before rclpy does.

    Args:
        name: name of the parameter, which begins with `OVERRIDES`.
        value: its value.

    Raises:
        AvdetError: there is no parameter of that name, or it cannot have that value.
    """
    match = _NAME.fullmatch(name)
    policy = next((p for p in _POLICIES if match and p.name == match[1]), None)
    if policy is None:
        raise AvdetError(
            f'parameter {name}: expected a name such as '
            f'{OVERRIDES}./avdet/spectrogram.subscription.depth, ending in '
            f'{", ".join(p.name for p in _POLICIES)}, found another'
        )
    value = value.lower() if isinstance(value, str) else value  # as rclpy does
    replace(policy, name=name).check(value)


def incompatible_policies(offered: QoSProfile, requested: QoSProfile) -> str:
    """Return why a publisher and a subscriber are incompatible; empty if they are not."""
    compatibility, reason = qos_check_compatible(offered, requested)
    if int(compatibility) == 0:  # QoSCompatibility.OK
        return ''
    if 'ERROR' not in reason.upper():
        return ''
    return ' '.join(reason.replace('ERROR:', '').split()).rstrip(';')


def type_name(message_class: Any) -> str:
    """Return a message class's type name as in the graph, e.g. ``sensor_msgs/msg/Image``."""
    return '/'.join([message_class.__module__.split('.')[0], 'msg', message_class.__name__])
