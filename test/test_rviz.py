"""RViz shows the topics of the nodes, and the frames of the rig as the rig file defines them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation
import yaml

from avdet_ros.graph import make_graph
from avdet_ros.paths import share
from avdet_ros.rig import load_rig
from avdet_ros.rviz import CONFIG, TOPICS, processes, static_transforms


def test_rviz_layout_shows_every_topic_once():
    tree = yaml.safe_load(share(CONFIG).read_text())
    shown = [
        display['Topic']['Value']
        for display in tree['Visualization Manager']['Displays']
        if 'Topic' in display
    ]
    assert sorted(shown) == sorted(f'/avdet/{topic}' for topic in TOPICS)
    fixed = tree['Visualization Manager']['Global Options']['Fixed Frame']
    assert fixed == load_rig().frame_id


def test_optical_frame_is_at_the_camera():
    rig = load_rig()
    (parent, child, words), (_, array, _) = static_transforms(rig)
    assert (parent, child, array) == ('base_link', 'camera_optical_frame', 'microphone_array')
    values = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    turn = Rotation.from_quat([values[f'--q{axis}'] for axis in 'xyzw'])
    ahead = turn.apply([0, 0, 1.0]) + [values['--x'], values['--y'], values['--z']]
    assert np.allclose(ahead, rig.camera.position_m + [1, 0, 0])


def test_no_process_is_started_unless_requested():
    assert processes(make_graph({})) == []


def test_frames_are_published_without_rviz():
    frames = processes(make_graph({'tf': 'true'}))
    assert [frame['executable'] for frame in frames] == ['static_transform_publisher'] * 2
    assert frames == processes(make_graph({'rviz': 'true'}))[1:]


def test_topics_of_another_namespace_are_remapped():
    window, *frames = processes(make_graph({'rviz': 'true', 'namespace': 'truck'}))
    assert ('/avdet/overlay', '/truck/overlay') in window['remappings']
    assert [frame['package'] for frame in frames] == ['tf2_ros', 'tf2_ros']
