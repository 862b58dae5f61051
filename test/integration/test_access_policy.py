"""The SROS2 policy against the running nodes: it allows what they use and nothing else."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from avdet_ros.nodes.camera import CameraNode
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.nodes.overlay import OverlayNode
from avdet_ros.nodes.recorder import RecorderNode
from avdet_ros.nodes.tracker import TrackerNode
from avdet_ros.paths import share

pytestmark = pytest.mark.ros

QUERIES = {
    ('topics', 'publish'): 'get_publisher_names_and_types_by_node',
    ('topics', 'subscribe'): 'get_subscriber_names_and_types_by_node',
    ('services', 'reply'): 'get_service_names_and_types_by_node',
}
OPTIONAL = {
    ('topics', 'subscribe'): {
        '/clock',
        '/diagnostics',
        '/tf',
        '/avdet/spectrogram',
        '/tf_static',
        '/avdet/odom',
        '/avdet/air_temperature',
        '/avdet/tracks_points',
        '/avdet/nearest',
        '/avdet/camera_info',
        '/avdet/image',
        '/avdet/drive_time',
        # Of the overlay, while its pictures are subscribed.
        '/avdet/debug/latency_ms',
        '/avdet/hidden',
    },
    # With source simulation, and with thermal and depth cameras.
    ('topics', 'publish'): {
        '/avdet/audio',
        '/avdet/truth',
        '/avdet/odom',
        '/avdet/air_temperature',
        '/avdet/drive_time',
        '/avdet/thermal/image_raw',
        '/avdet/depth/image_raw',
        # If the packages of these messages are installed.
        '/avdet/autoware/detected_objects',
        '/avdet/autoware/tracked_objects',
        '/avdet/annotations',
    },
}
"""Topics that a node uses only with other parameters than here."""


def policy():
    """Allowed full names, by node, kind and direction."""
    allowed = {}
    for profile in ElementTree.parse(share('config/sros2_policy.xml')).iter('profile'):
        node, namespace = profile.get('node'), profile.get('ns')
        for kind in ('topics', 'services'):
            for block in profile.findall(kind):
                for direction, verdict in block.attrib.items():
                    assert verdict == 'ALLOW'
                    names = {child.text for child in block}
                    full = {n if n.startswith('/') else f'{namespace}/{n}' for n in names}
                    allowed.setdefault((node, kind, direction), set()).update(full)
    return allowed


def test_policy_lists_the_endpoints_of_the_running_nodes(
    start, watcher, wait, model_path, tmp_path
):
    nodes = [
        start(CaptureNode, source='topic'),
        start(DetectorNode, model=str(model_path)),
        start(TrackerNode),
        start(OverlayNode),
        start(RecorderNode, path=str(tmp_path / 'bag')),
        start(CameraNode, duration_s=5.0),
    ]
    allowed = policy()
    assert {node for node, *_ in allowed} == {node.NAME for node in nodes}
    assert not [name for names in allowed.values() for name in names if '*' in name]
    for node in nodes:
        wait(lambda node=node: node.state == 'active', f'{node.NAME} to be active')
        for (kind, direction), query in QUERIES.items():
            ask = getattr(watcher.node, query)
            listed = allowed[(node.NAME, kind, direction)]
            expected = listed - OPTIONAL.get((kind, direction), set())

            def has(ask=ask, node=node):
                return {name for name, _ in ask(node.NAME, '/avdet')}

            what = f'{node.NAME} to have all that it may {direction}'
            wait(lambda has=has, expected=expected: expected <= has(), what)
            assert has() <= listed, f'{node.NAME} {direction}: not in the policy'


def test_policy_lets_nodes_query_the_state_of_upstream_nodes():
    allowed = policy()
    pairs = [('detector', 'capture'), ('tracker', 'detector'), ('camera', 'capture')]
    pairs += [('recorder', node) for node in ('capture', 'detector', 'tracker', 'overlay')]
    for node, upstream in pairs:
        assert f'/avdet/{upstream}/get_state' in allowed[(node, 'services', 'request')]
        assert f'/avdet/{upstream}/get_state' in allowed[(upstream, 'services', 'reply')]
