"""The graph of nodes: cameras, arguments, odometry and processes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.graph import ProcessSpec, make_graph, parse_arguments


def nodes_of(*words):
    return {node.name: node for node in make_graph(parse_arguments(list(words))).nodes}


def test_simulated_camera_gets_the_same_drive_as_capture():
    nodes = nodes_of(
        'source:=simulation',
        'camera:=true',
        'seed:=300001',
        'duration:=20',
        'camera_rate:=2',
        'camera_modalities:=rgb,depth',
        'drive:=/d',
        'rig:=/r.yaml',
        'record:=/tmp/x',
    )
    camera, capture = nodes['camera'].parameters, nodes['capture'].parameters
    for name in ('seed', 'duration_s', 'drive', 'rig'):
        assert camera[name] == capture[name]
    assert (camera['rate_hz'], camera['modalities']) == (2.0, ['rgb', 'depth'])
    camera = {'image': 'camera/image_raw', 'camera_info': 'camera/camera_info'}
    assert nodes['overlay'].remappings == camera
    assert nodes['recorder'].remappings['camera_info'] == 'camera/camera_info'


def test_camera_is_absent_unless_requested():
    nodes = nodes_of('source:=simulation')
    assert 'camera' not in nodes
    assert nodes['overlay'].remappings == {}


def test_given_image_topic_is_kept_with_a_simulated_camera():
    nodes = nodes_of('source:=simulation', 'camera:=true', 'image:=/front/image')
    front = {'image': '/front/image', 'camera_info': '/front/camera_info'}
    assert nodes['overlay'].remappings == front


@pytest.mark.parametrize(
    ('image', 'camera_info'),
    [
        ('image_raw', 'camera_info'),
        ('/image_raw', '/camera_info'),
        ('front/image_raw', 'front/camera_info'),
        ('/camera/image_raw', '/camera/camera_info'),
        ('/camera/image_raw/compressed', '/camera/camera_info'),
        ('image_raw/compressed', 'camera_info'),
    ],
)
def test_camera_info_topic_is_next_to_the_image_topic(image, camera_info):
    recorder = nodes_of(f'image:={image}', 'record:=/tmp/x')['recorder']
    assert recorder.remappings == {'image': image, 'camera_info': camera_info}


def test_default_arguments_are_left_to_the_parameter_file():
    nodes = nodes_of('min_score:=0.05', 'autostart:=true', 'use_sim_time:=false', 'camera:=false')
    assert all(node.parameters == {} for node in nodes.values())
    nodes = nodes_of('min_score:=0.1', 'autostart:=false', 'use_sim_time:=true')
    general = {'autostart': False, 'use_sim_time': True}
    assert nodes['capture'].parameters == nodes['overlay'].parameters == general
    assert nodes['detector'].parameters == {'min_score': 0.1, **general}


def test_camera_requires_the_simulation_source():
    with pytest.raises(AvdetError, match='expected source:=simulation, found device'):
        nodes_of('camera:=true')


def test_booleans_are_accepted_in_any_letter_case():
    for false in ('false', 'False', 'FALSE'):
        graph = make_graph({'overlay': false})
        assert 'overlay' not in [node.name for node in graph.nodes]
    with pytest.raises(AvdetError, match="overlay: expected true or false, found 'no'"):
        make_graph({'overlay': 'no'})


def test_odometry_topic_reaches_detector_tracker_and_recorder():
    graph = make_graph({'odom': '/vehicle/odometry', 'record': 'bag', 'ego_motion': 'odometry'})
    remapped = {node.name: node.remappings.get('odom') for node in graph.nodes}
    assert {remapped[name] for name in ('detector', 'tracker', 'recorder')} == {
        '/vehicle/odometry'
    }
    assert remapped['capture'] is None


def test_detector_and_tracker_get_the_same_ego_motion():
    nodes = nodes_of('ego_motion:=tf', 'air_temperature:=-4')
    assert nodes['detector'].parameters == {'ego_motion': 'tf', 'air_temperature_c': -4.0}
    assert nodes['tracker'].parameters == {'ego_motion': 'tf'}


def test_composed_graph_runs_capture_to_tracker_in_one_process():
    graph = make_graph({'composed': 'true', 'record': 'bag', 'min_score': '0.1'})
    names = [(process.name, [node.name for node in process.nodes]) for process in graph.processes]
    assert names == [
        ('composed', ['capture', 'detector', 'tracker']),
        ('overlay', ['overlay']),
        ('recorder', ['recorder']),
    ]
    assert graph.nodes == make_graph({'record': 'bag', 'min_score': '0.1'}).nodes


def test_single_node_of_a_composed_graph_is_its_own_process():
    graph = make_graph({'composed': 'true'})
    tracker = next(node for node in graph.nodes if node.name == 'tracker')
    assert replace(graph, nodes=(tracker,)).processes == (ProcessSpec('tracker', (tracker,)),)
