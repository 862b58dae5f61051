"""The graph with a simulated camera."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.graph import ProcessSpec, make_graph, parse_arguments


def nodes_of(*words):
    return {node.name: node for node in make_graph(parse_arguments(list(words))).nodes}


def test_a_camera_sees_the_drive_of_captures_sound():
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


def test_without_being_asked_there_is_none():
    nodes = nodes_of('source:=simulation')
    assert 'camera' not in nodes
    assert nodes['overlay'].remappings == {}


def test_a_camera_of_ones_own_keeps_its_topic():
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
def test_the_cameras_model_lies_beside_its_pictures(image, camera_info):
    recorder = nodes_of(f'image:={image}', 'record:=/tmp/x')['recorder']
    assert recorder.remappings == {'image': image, 'camera_info': camera_info}


def test_what_nobody_asked_for_is_left_to_the_parameter_file():
    nodes = nodes_of('min_score:=0.05', 'autostart:=true', 'use_sim_time:=false', 'camera:=false')
    assert all(node.parameters == {} for node in nodes.values())
    nodes = nodes_of('min_score:=0.1', 'autostart:=false', 'use_sim_time:=true')
    general = {'autostart': False, 'use_sim_time': True}
    assert nodes['capture'].parameters == nodes['overlay'].parameters == general
    assert nodes['detector'].parameters == {'min_score': 0.1, **general}


def test_only_the_simulation_has_a_camera():
    with pytest.raises(AvdetError, match='expected source:=simulation, found device'):
        nodes_of('camera:=true')


def test_truths_are_taken_as_each_language_writes_them():
    for false in ('false', 'False', 'FALSE'):
        graph = make_graph({'overlay': false})
        assert 'overlay' not in [node.name for node in graph.nodes]
    with pytest.raises(AvdetError, match="overlay: expected true or false, found 'no'"):
        make_graph({'overlay': 'no'})


def test_odometry_of_the_vehicle_goes_to_detector_and_tracker_and_into_the_bag():
    graph = make_graph({'odom': '/vehicle/odometry', 'record': 'bag', 'ego_motion': 'odometry'})
    remapped = {node.name: node.remappings.get('odom') for node in graph.nodes}
    assert {remapped[name] for name in ('detector', 'tracker', 'recorder')} == {
        '/vehicle/odometry'
    }
    assert remapped['capture'] is None


def test_detector_and_tracker_have_the_same_motion():
    nodes = nodes_of('ego_motion:=tf', 'air_temperature:=-4')
    assert nodes['detector'].parameters == {'ego_motion': 'tf', 'air_temperature_c': -4.0}
    assert nodes['tracker'].parameters == {'ego_motion': 'tf'}


def test_composed_the_way_of_a_window_is_one_process():
    graph = make_graph({'composed': 'true', 'record': 'bag', 'min_score': '0.1'})
    names = [(process.name, [node.name for node in process.nodes]) for process in graph.processes]
    assert names == [
        ('composed', ['capture', 'detector', 'tracker']),
        ('overlay', ['overlay']),
        ('recorder', ['recorder']),
    ]
    assert graph.nodes == make_graph({'record': 'bag', 'min_score': '0.1'}).nodes


def test_a_node_left_over_is_a_process_as_ever():
    graph = make_graph({'composed': 'true'})
    tracker = next(node for node in graph.nodes if node.name == 'tracker')
    assert replace(graph, nodes=(tracker,)).processes == (ProcessSpec('tracker', (tracker,)),)
