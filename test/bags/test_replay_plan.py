"""What a replay runs: by what the bag holds and by what is installed."""

from __future__ import annotations

import os

import pytest

from avdet_ros.bags import replay_plan
from avdet_ros.bags.replay_plan import REPLAY_ARGUMENTS, plan_replay
from avdet_ros.bags.writer import BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import IMAGE


@pytest.fixture
def bag(write_sound, tmp_path):
    write_sound(tmp_path / 'drive', topic='/truck/audio')
    return tmp_path / 'drive'


def names(plan):
    return [node.name for node in plan.graph.nodes]


def test_raw_sound_runs_the_whole_chain_on_sim_time(bag):
    plan = plan_replay({'bag': str(bag), 'rate': '2.0'})
    assert names(plan) == ['capture', 'detector', 'tracker', 'overlay']
    assert plan.graph.namespace == '/truck'
    assert plan.graph.nodes[0].parameters['source'] == 'topic'
    assert all(node.parameters['use_sim_time'] is True for node in plan.graph.nodes)
    assert plan.player[-4:] == ('--rate', '2.0', '--start', '0.0')


def test_spectrograms_alone_run_from_the_detector_on(tmp_path):
    with BagWriter(tmp_path / 'drive') as writer:
        writer.write('/avdet/spectrogram', IMAGE, b'', 1)
    plan = plan_replay({'bag': str(tmp_path / 'drive'), 'overlay': 'false'})
    assert names(plan) == ['detector', 'tracker']


def test_rosbag2_plays_where_it_is_installed_but_not_what_it_cannot_open(bag, monkeypatch):
    monkeypatch.setattr(replay_plan, 'rosbag2_installed', lambda: True)
    plan = plan_replay({'bag': str(bag)})
    assert plan.player[:3] == ('ros2', 'bag', 'play')
    assert plan.player[-2:] == ('--topics', '/truck/audio')
    file = bag / 'drive.mcap'
    os.truncate(file, file.stat().st_size * 3 // 4)
    assert 'avdet_ros.cli.replay_process' in plan_replay({'bag': str(bag)}).player


def test_wrong_arguments_are_reported_in_one_sentence(bag):
    for given, words in (
        ({}, 'bag:=DIR'),
        ({'bag': str(bag), 'rate': '0'}, 'rate: expected'),
        ({'bag': str(bag / 'nothing')}, 'found nothing'),
    ):
        with pytest.raises(AvdetError, match=words):
            plan_replay(given)


def test_what_a_replay_decides_is_no_argument():
    offered = [argument.name for argument in REPLAY_ARGUMENTS]
    assert len(offered) == len(set(offered))
    assert not {'source', 'use_sim_time', 'device'} & set(offered)
    assert {'bag', 'rate', 'model', 'record'} <= set(offered)
