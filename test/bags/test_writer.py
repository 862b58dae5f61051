"""QoS of topics in the metadata of a written bag."""

from __future__ import annotations

import pytest
import yaml

from avdet_ros.bags.writer import BagWriter
from avdet_ros.messages.decode import IMAGE


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_latched_topics_keep_100_messages_and_others_10(tmp_path, storage):
    with BagWriter(tmp_path / 'bag', storage=storage) as writer:
        for name in ('/tf_static', '/avdet/audio'):
            writer.write(name, IMAGE, b'\0' * 8, 1)
    facts = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
    topics = facts['rosbag2_bagfile_information']['topics_with_message_count']
    offered = {}
    for topic in topics:
        (qos,) = yaml.safe_load(str(topic['topic_metadata']['offered_qos_profiles']))
        offered[topic['topic_metadata']['name']] = (qos['depth'], qos['durability'])
    assert offered == {'/tf_static': (100, 'transient_local'), '/avdet/audio': (10, 'volatile')}
