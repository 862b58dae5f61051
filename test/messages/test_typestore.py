"""Our vision_msgs match the public ones, whose hashes DDS participants compare."""

from __future__ import annotations

from pathlib import Path

import pytest
from rosbags.typesys import get_types_from_msg

from avdet_ros.errors import AvdetError
from avdet_ros.messages.typestore import VISION_MSGS, known, serialize, type_hash, typestore

BUILT = Path(__file__).resolve().parents[2] / 'tools' / 'vision_msgs' / 'msg'


@pytest.mark.skipif(not BUILT.is_dir(), reason='the sources to build vision_msgs from are absent')
@pytest.mark.parametrize('msgtype', sorted(VISION_MSGS))
def test_typestore_and_built_package_define_the_same_type(msgtype):
    name = msgtype.rsplit('/', 1)[1]
    built = get_types_from_msg((BUILT / f'{name}.msg').read_text(), msgtype)
    assert typestore().fielddefs[msgtype][1] == built[msgtype][1]


def test_unknown_type_is_named_in_the_error():
    with pytest.raises(AvdetError, match='acme_msgs/msg/Sound'):
        known('acme_msgs/msg/Sound')
    assert type_hash('sensor_msgs/msg/Image').startswith('RIHS01_')


def test_detection_array_round_trips_through_cdr():
    types = typestore().types
    header = types['std_msgs/msg/Header'](types['builtin_interfaces/msg/Time'](7, 8), 'camera')
    message = types['vision_msgs/msg/Detection2DArray'](header, [])
    back = typestore().deserialize_cdr(serialize(message), 'vision_msgs/msg/Detection2DArray')
    assert (back.header.stamp.sec, back.header.frame_id, back.detections) == (7, 'camera', [])
