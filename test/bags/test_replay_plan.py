"""Nodes and player of a replay depend on the bag and on what is installed."""

from __future__ import annotations

import os

import pytest

from avdet_ros.bags import replay_plan
from avdet_ros.bags.replay_plan import REPLAY_ARGUMENTS, plan_replay
from avdet_ros.bags.timeline import moved_topics
from avdet_ros.bags.writer import BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import IMAGE


@pytest.fixture
def bag(write_sound, tmp_path):
    write_sound(tmp_path / 'drive', topic='/truck/audio')
    return tmp_path / 'drive'


def names(plan):
    return [node.name for node in plan.graph.nodes]


def test_raw_sound_starts_all_nodes_on_sim_time(bag):
    plan = plan_replay({'bag': str(bag), 'rate': '2.0'})
    assert names(plan) == ['capture', 'detector', 'tracker', 'overlay']
    assert plan.graph.namespace == '/truck'
    assert plan.graph.nodes[0].parameters['source'] == 'topic'
    assert all(node.parameters['use_sim_time'] is True for node in plan.graph.nodes)
    assert plan.player[-4:] == ('--rate', '2.0', '--start', '0.0')


def test_spectrograms_alone_start_detector_and_tracker(tmp_path):
    with BagWriter(tmp_path / 'drive') as writer:
        writer.write('/avdet/spectrogram', IMAGE, b'', 1)
    plan = plan_replay({'bag': str(tmp_path / 'drive'), 'overlay': 'false'})
    assert names(plan) == ['detector', 'tracker']


def test_rosbag2_plays_if_installed_unless_it_cannot_open_the_bag(bag, monkeypatch):
    monkeypatch.setattr(replay_plan, 'rosbag2_plays', lambda bag: True)
    plan = plan_replay({'bag': str(bag)})
    words = f'ros2 bag play {bag} --clock 100 --rate 1.0 --start-offset 0.0 --delay 8.0 '
    assert ' '.join(plan.player) == words + '--topics /truck/audio'
    assert plan.note == 'drive: the whole chain from raw sound, 1 topics by ros2 bag play'
    looped = plan_replay({'bag': str(bag), 'loop': 'true', 'start': '2.5', 'rate': '0.5'})
    words = f'ros2 bag play {bag} --clock 100 --rate 0.5 --start-offset 2.5 --delay 8.0 --loop '
    assert ' '.join(looped.player) == words + '--topics /truck/audio'
    file = bag / 'drive.mcap'
    os.truncate(file, file.stat().st_size * 3 // 4)
    assert 'avdet_ros.cli.replay_process' in plan_replay({'bag': str(bag)}).player


def test_bag_is_played_into_the_namespace_of_the_nodes(write_sound, tmp_path, monkeypatch):
    write_sound(tmp_path / 'drive', topic='/truck/audio')
    given = {'bag': str(tmp_path / 'drive'), 'namespace': 'car1'}
    plan = plan_replay(given)
    assert plan.graph.namespace == '/car1'
    assert plan.player[-2:] == ('--namespace', '/car1')
    assert 'recorded as /truck/audio, played as /car1/audio' in plan.note
    monkeypatch.setattr(replay_plan, 'rosbag2_plays', lambda bag: True)
    assert plan_replay(given).player[-2:] == ('--remap', '/truck/audio:=/car1/audio')
    same = plan_replay({**given, 'namespace': '/truck'})
    assert '--remap' not in same.player


def test_topics_next_to_the_sound_move_with_it():
    topics = ['/a/b/audio', '/a/b/camera/image_raw', '/tf_static', '/a/other', '/a/bc']
    moved = moved_topics(topics, '/a/b/audio', 'car1/x')
    assert moved == {
        '/a/b/audio': '/car1/x/audio',
        '/a/b/camera/image_raw': '/car1/x/camera/image_raw',
    }
    assert moved_topics(['/audio', '/tf_static'], '/audio', 'c') == {'/audio': '/c/audio'}
    assert moved_topics(topics, '/a/b/audio', '/') == {
        '/a/b/audio': '/audio',
        '/a/b/camera/image_raw': '/camera/image_raw',
    }


def test_rosbag2_without_the_storage_plugin_is_not_used(bag, monkeypatch):
    monkeypatch.setattr(replay_plan.shutil, 'which', lambda name: '/opt/ros/bin/ros2')
    monkeypatch.setattr(replay_plan.importlib.util, 'find_spec', lambda name: True)
    checked = []

    def installed(name):
        checked.append(name)
        return False

    monkeypatch.setattr(replay_plan, 'ros_package_installed', installed)
    assert 'by avdet bag replay' in plan_replay({'bag': str(bag)}).note
    assert checked == ['rosbag2_storage_mcap']


def test_wrong_arguments_are_rejected(bag):
    for given, words in (
        ({}, 'bag:=DIR'),
        ({'bag': str(bag), 'rate': '0'}, 'rate: expected'),
        ({'bag': str(bag / 'nothing')}, 'found nothing'),
    ):
        with pytest.raises(AvdetError, match=words):
            plan_replay(given)


def test_replay_offers_no_arguments_that_it_sets_itself():
    offered = [argument.name for argument in REPLAY_ARGUMENTS]
    assert len(offered) == len(set(offered))
    assert not {'source', 'use_sim_time', 'device'} & set(offered)
    assert {'bag', 'rate', 'model', 'record'} <= set(offered)
