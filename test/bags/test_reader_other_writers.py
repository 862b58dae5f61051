"""Bags of other writers and file types: valid messages are read, others are reported."""

from __future__ import annotations

import sqlite3

from mcap.writer import CompressionType, IndexType, Writer
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as RosbagsWriter
import zstandard

from avdet_ros.bags.reader import Bag, decode
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import IMAGE, decode_sound, stamp_ns
from avdet_ros.messages.encode_offline import make_header, make_sound
from avdet_ros.messages.typestore import serialize, typestore

TOPIC = '/avdet/audio'
BLOCKS = 60


def messages():
    """Stamps and CDR bytes of sound blocks, each filled with its block number."""
    for index in range(BLOCKS):
        now = 1_750_000_000_000_000_000 + index * 23_219_955
        block = np.full((256, 8), index, np.int16)
        yield now, bytes(serialize(make_sound(make_header(now, 'array'), block)))


def read_blocks(path):
    """Numbers of the blocks read, in order, and the reason if the bag is incomplete."""
    with Bag(path) as bag:
        bag.require(TOPIC, IMAGE)
        found = [decode(message) for message in bag.messages([TOPIC])]
        assert [stamp_ns(one) for one in found] == sorted(stamp_ns(one) for one in found)
        return [int(decode_sound(one, 'x')[0, 0]) for one in found], bag.partial


def write_mcap(path, extra=None, **options):
    with path.open('wb') as file:
        writer = Writer(file, chunk_size=40_000, **options)
        writer.start(profile='ros2', library='another')
        text = typestore().generate_msgdef(IMAGE, ros_version=2)[0].encode()
        channel = writer.register_channel(
            TOPIC, 'cdr', writer.register_schema(IMAGE, 'ros2msg', text)
        )
        for index, (now, data) in enumerate(messages()):
            writer.add_message(channel, now, data, now, index)
            if extra:
                extra(writer, index, now)
        writer.finish()
    return path


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'index_types': IndexType.CHUNK},
        {'index_types': IndexType.NONE},
        {'index_types': IndexType.MESSAGE},
        {'use_chunking': False},
        {'use_chunking': False, 'use_statistics': False, 'use_summary_offsets': False},
        {'use_statistics': False},
        {'enable_crcs': False},
        {'repeat_channels': False, 'repeat_schemas': False},
        {'compression': CompressionType.LZ4},
        {'compression': CompressionType.NONE},
    ],
    ids=str,
)
def test_mcap_files_of_all_writer_options_are_read_completely(tmp_path, options):
    assert read_blocks(write_mcap(tmp_path / 'drive.mcap', **options)) == (
        list(range(BLOCKS)),
        None,
    )


def test_topics_of_other_encodings_and_types_are_ignored(tmp_path):
    def extra(writer, index, now):
        if index == 20:
            schema = writer.register_schema('Pose', 'jsonschema', b'{}')
            writer.add_message(writer.register_channel('/pose', 'json', schema), now, b'{}', now)
        for at, kind in ((30, 'std_msgs/msg/String'), (31, 'std_msgs/msg/UInt8')):
            if index == at:
                schema = writer.register_schema(kind, 'ros2msg', b'uint8 data')
                channel = writer.register_channel('/other', 'cdr', schema)
                writer.add_message(channel, now, b'\0\1\0\0\1', now)

    path = write_mcap(tmp_path / 'drive.mcap', extra)
    assert read_blocks(path)[0] == list(range(BLOCKS))
    with Bag(path) as bag:
        with pytest.raises(AvdetError, match='/pose: expected messages in CDR, found json'):
            bag.require('/pose', IMAGE)
        with pytest.raises(AvdetError, match='one message type, found std_msgs/msg/String and'):
            bag.require('/other', 'std_msgs/msg/String')


def write_bag(path, mode=None):
    writer = RosbagsWriter(path, version=9, storage_plugin=StoragePlugin.SQLITE3)
    if mode:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(TOPIC, IMAGE, typestore=typestore())
        for now, data in messages():
            writer.write(connection, now, data)
    return path


@pytest.mark.parametrize('name', ['drive #3', 'what?', '50%20rain', 'a [1] b', 'fahrt_ü', "it's"])
@pytest.mark.parametrize('single', [False, True])
def test_bags_with_special_characters_in_their_names_are_read(tmp_path, name, single):
    path = write_bag(tmp_path / 'plain').rename(tmp_path / name)
    expected = (list(range(BLOCKS)), None)
    if single:  # a file copied out of its bag folder
        path = (path / 'plain.db3').rename(tmp_path / f'{name}.db3')
    assert read_blocks(path) == expected


@pytest.mark.parametrize('metadata', [True, False])
@pytest.mark.parametrize('mode', [CompressionMode.MESSAGE, CompressionMode.FILE])
def test_compressed_bags_are_read_with_and_without_metadata(tmp_path, mode, metadata):
    path = write_bag(tmp_path / 'drive', mode).rename(tmp_path / 'drive #1')
    if not metadata:
        (path / 'metadata.yaml').unlink()
    found, partial = read_blocks(path)
    assert found == list(range(BLOCKS))
    assert metadata or partial is None or 'metadata.yaml is missing' in partial


def test_single_compressed_mcap_file_is_read(tmp_path):
    plain = write_mcap(tmp_path / 'drive.mcap')
    packed = tmp_path / 'drive.mcap.zstd'
    packed.write_bytes(zstandard.ZstdCompressor().compress(plain.read_bytes()))
    assert read_blocks(packed) == (list(range(BLOCKS)), None)


@pytest.mark.parametrize('metadata', [True, False])
def test_messages_in_the_wal_of_a_killed_recorder_are_read(tmp_path, metadata):
    path = write_bag(tmp_path / 'drive')
    file = path / 'drive.db3'
    database = sqlite3.connect(file)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    last = database.execute('SELECT timestamp, data FROM messages ORDER BY id').fetchall()[-1]
    database.execute('DELETE FROM messages WHERE timestamp = ?', (last[0],))
    database.commit()
    database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    database.execute('INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)', last)
    database.commit()
    copy = tmp_path / 'copy'
    copy.mkdir()
    for part in path.iterdir():
        if part.suffix != '.yaml' or metadata:
            (copy / part.name).write_bytes(part.read_bytes())
    database.close()
    before = {part.name: part.read_bytes() for part in copy.iterdir()}
    assert (copy / 'drive.db3-wal').stat().st_size > 0
    assert read_blocks(copy)[0] == list(range(BLOCKS))
    assert {part.name: part.read_bytes() for part in copy.iterdir()} == before


def test_bag_with_only_other_encodings_is_rejected_with_a_reason(tmp_path):
    path = tmp_path / 'json.mcap'
    with path.open('wb') as file:
        writer = Writer(file)
        writer.start(profile='ros2', library='another')
        schema = writer.register_schema('Pose', 'jsonschema', b'{}')
        writer.add_message(writer.register_channel('/pose', 'json', schema), 1, b'{}', 1)
        writer.finish()
    with pytest.raises(AvdetError, match='expected messages in CDR, found /pose in json'):
        Bag(path)
