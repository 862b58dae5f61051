"""Remaining messages of a damaged file are counted and read."""

from __future__ import annotations

from mcap.writer import Writer as McapWriter
import pytest

from avdet_ros.bags.recovery import has_full_index, messages, scan
from avdet_ros.bags.writer import BagWriter
from avdet_ros.messages.decode import IMAGE, NUMBER
from avdet_ros.messages.encode_offline import make_header, make_image
from avdet_ros.messages.typestore import serialize, typestore

SECOND_NS = 10**9


@pytest.fixture
def file(tmp_path):
    """Seven numbers at 3 Hz and three images at 1 Hz; each chunk holds one second."""
    picture = serialize(make_image(make_header(1, 'cam'), 'mono8', 2, 3, b'abcdef'))
    with BagWriter(tmp_path / 'bag', file_name='bag.mcap') as writer:
        for index in range(7):
            number = serialize(typestore().types[NUMBER](float(index)))
            writer.write('/number', NUMBER, number, 5 * SECOND_NS + index * SECOND_NS // 3)
            if index % 3 == 0:
                writer.write('/camera', IMAGE, picture, 5 * SECOND_NS + index * SECOND_NS // 3)
    return tmp_path / 'bag' / 'bag.mcap'


def test_intact_file_is_scanned_completely(file):
    found = scan(file)
    assert found.counts == {('/number', NUMBER): 7, ('/camera', IMAGE): 3}
    assert (found.first_ns, found.last_ns) == (5 * SECOND_NS, 7 * SECOND_NS)
    assert (found.chunks_lost, found.encodings, found.whole) == (0, {}, True)
    assert has_full_index(file)
    assert has_full_index(file.parent)


def test_truncated_file_keeps_earlier_messages(file):
    data = file.read_bytes()
    cut = data.rindex(b'\x06', 0, data.rindex(b'abcdef'))  # into the last chunk
    file.write_bytes(data[:cut])
    found = scan(file)
    assert found.counts == {('/number', NUMBER): 6, ('/camera', IMAGE): 2}
    assert found.last_ns == 5 * SECOND_NS + 5 * SECOND_NS // 3
    assert (found.reason, found.whole) == (f'it is cut off after {cut} bytes', False)
    kept = list(messages(file, ['/number']))
    assert [(topic, kind) for topic, kind, _, _ in kept] == [('/number', NUMBER)] * 6
    assert [stamp for _, _, stamp, _ in kept] == [
        5 * SECOND_NS + index * SECOND_NS // 3 for index in range(6)
    ]
    assert list(messages(file, ['/nothing'])) == []


def test_damaged_chunk_is_counted_and_skipped(file):
    data = bytearray(file.read_bytes())
    middle = data.index(b'abcdef', data.index(b'abcdef') + 1)
    content = data.rindex(b'\0\1\0\0', 0, middle)  # the picture's CDR header
    data[content - 30 : content - 22] = b'\xff' * 8  # the length of its record
    file.write_bytes(bytes(data))
    found = scan(file)
    assert found.counts == {('/number', NUMBER): 4, ('/camera', IMAGE): 2}
    assert (found.chunks_lost, found.whole) == (1, False)
    assert (found.first_ns, found.last_ns) == (5 * SECOND_NS, 7 * SECOND_NS)


def test_topic_without_a_schema_has_no_type(tmp_path):
    with (tmp_path / 'a.mcap').open('wb') as stream:
        writer = McapWriter(stream)
        writer.start()
        channel = writer.register_channel('/a', 'cdr', 0)
        other = writer.register_channel('/b', 'json', 0)
        writer.add_message(channel, 7, b'x', 7)
        writer.add_message(other, 9, b'{}', 9)
        writer.finish()
    found = scan(tmp_path / 'a.mcap')
    assert (found.counts, found.encodings) == ({('/a', ''): 1}, {'/b': 'json'})
    assert (found.first_ns, found.last_ns) == (7, 7)


def test_has_full_index_is_true_for_anything_but_mcap(tmp_path):
    (tmp_path / 'a.db3').write_bytes(b'')
    (tmp_path / 'b.mcap').write_bytes(b'no file')
    assert has_full_index(tmp_path / 'a.db3')
    assert has_full_index(tmp_path / 'b.mcap')
    assert has_full_index(tmp_path)
