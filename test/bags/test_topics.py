"""Topics of a bag are collected from its files one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from avdet_ros.bags.topics import BagTopics
from avdet_ros.errors import AvdetError


def test_counts_add_up_and_the_first_non_empty_file_sets_the_type():
    topics = BagTopics(Path('drive'))
    for msgtype, count, digest in (
        ('a/B', 0, 'x'),
        ('c/D', 3, ''),
        ('c/D', 4, 'y'),
        ('a/B', 0, 'z'),
    ):
        topics.add('/one', msgtype, count, digest)
    topic = topics.by_name['/one']
    assert (topic.name, topic.msgtype, topic.count, topic.digest) == ('/one', 'c/D', 7, 'y')
    assert topics.require('/one', 'c/D') is topic


def test_two_types_on_one_topic_are_rejected():
    topics = BagTopics(Path('drive'))
    topics.add('/one', 'c/D', 3)
    topics.add('/one', 'a/B', 2)
    assert (topics.by_name['/one'].msgtype, topics.by_name['/one'].count) == ('c/D', 5)
    with pytest.raises(
        AvdetError, match=r'^bag drive: /one: expected one message type, found a/B a'
    ):
        topics.require('/one', 'c/D')
