"""The graph with a simulated camera."""

from __future__ import annotations

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.graph import make_graph, parse_arguments


def nodes_of(*words):
    return {node.name: node for node in make_graph(parse_arguments(list(words))).nodes}


def test_a_camera_sees_the_drive_that_capture_hears():
    nodes = nodes_of(
        'source:=simulation', 'camera:=true', 'seed:=300001', 'duration:=20', 'camera_rate:=2',
        'camera_modalities:=rgb,depth', 'drive:=/d', 'rig:=/r.yaml', 'record:=/tmp/x',
    )  # fmt: skip
    camera, capture = nodes['camera'].parameters, nodes['capture'].parameters
    for name in ('seed', 'duration_s', 'drive', 'rig'):
        assert camera[name] == capture[name]
    assert (camera['rate_hz'], camera['modalities']) == (2.0, ['rgb', 'depth'])
    assert nodes['overlay'].remappings == {'image': 'camera/image_raw'}
    assert nodes['recorder'].remappings['camera_info'] == 'camera/camera_info'


def test_without_being_asked_there_is_none():
    nodes = nodes_of('source:=simulation')
    assert 'camera' not in nodes
    assert nodes['overlay'].remappings == {}


def test_a_camera_of_ones_own_keeps_its_topic():
    nodes = nodes_of('source:=simulation', 'camera:=true', 'image:=/front/image')
    assert nodes['overlay'].remappings == {'image': '/front/image'}


def test_only_the_simulation_has_a_camera():
    with pytest.raises(AvdetError, match='expected source:=simulation, found device'):
        nodes_of('camera:=true')
