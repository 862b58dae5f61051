"""The table of topics against the nodes' code and against the SROS2 policy."""

from __future__ import annotations

import ast
from xml.etree import ElementTree

from import_graph import PACKAGE
import pytest

from avdet_ros.parameters import NODES
from avdet_ros.paths import share
from avdet_ros.topics import TOPICS, inputs, outputs

OF_ROS = {'/clock', '/rosout', '/parameter_events'}


def in_policy(node: str, direction: str) -> set[str]:
    """Topics that the policy lets a node publish or subscribe to."""
    for profile in ElementTree.parse(share('config/sros2_policy.xml')).iter('profile'):
        if profile.get('node') == node:
            return {
                str(topic.text)
                for block in profile.findall('topics')
                if direction in block.attrib
                for topic in block
                if not str(topic.text).endswith('transition_event')
            } - OF_ROS
    return set()


def in_code(node: str) -> list[tuple[str, str, str, str]]:
    """(call, type, topic, profile) of each publisher and subscription with a written-out topic."""
    found = []
    tree = ast.parse((PACKAGE / 'nodes' / f'{node}.py').read_text(encoding='utf-8'))
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        name = call.func.attr
        if name in ('create_publisher', 'create_subscription'):
            kind, topic = call.args[:2]
            profile = call.args[2 if name == 'create_publisher' else 3]
            if isinstance(topic, ast.Constant):
                found.append((name, ast.unparse(kind), topic.value, ast.unparse(profile)))
    return found


@pytest.mark.parametrize('node', sorted(NODES))
def test_topic_table_matches_the_access_policy(node):
    assert {topic.name for topic in outputs(node)} == in_policy(node, 'publish')
    assert {topic.name for topic in inputs(node)} == in_policy(node, 'subscribe')


@pytest.mark.parametrize('node', ['camera', 'capture', 'detector', 'tracker', 'overlay'])
def test_topic_types_and_profiles_match_the_code(node):
    table = {topic.name: topic for topic in TOPICS}
    calls = in_code(node)
    assert calls
    for name, kind, topic, profile in calls:
        entry = table[topic]
        if not kind.islower():  # a local name for a type
            assert entry.type.rpartition('/')[2] == kind, topic
        written = entry.offered if name == 'create_publisher' else entry.asked
        if profile != 'stream':  # a local name for qos.ASK_STREAM
            assert profile == (f'qos.{written}' if written else '10'), topic


def test_topic_names_are_unique():
    names = [topic.name for topic in TOPICS]
    assert len(names) == len(set(names))
