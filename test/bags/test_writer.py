"""What a bag that is written says of its topics."""

from __future__ import annotations

import pytest
import yaml

from avdet_ros.bags.writer import BagWriter
from avdet_ros.messages.decode import IMAGE


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_latched_topics_keep_a_hundred_messages_and_others_ten(tmp_path, storage):
    with BagWriter(tmp_path / 'bag', storage=storage) as writer:
        for name in ('/tf_static', '/avdet/audio'):
            writer.write(name, IMAGE, b'\0' * 8, 1)
    facts = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
    topics = facts['rosbag2_bagfile_information']['topics_with_message_count']
    told = {}
    for topic in topics:
        (qos,) = yaml.safe_load(str(topic['topic_metadata']['offered_qos_profiles']))
        told[topic['topic_metadata']['name']] = (qos['depth'], qos['durability'])
    assert told == {'/tf_static': (100, 'transient_local'), '/avdet/audio': (10, 'volatile')}
