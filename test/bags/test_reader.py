"""Reading complete, truncated and damaged bags, and files that are not bags."""

from __future__ import annotations

import os
from pathlib import Path
import resource

import numpy as np
import pytest

from avdet_ros.bags.reader import Bag, decode
from avdet_ros.bags.writer import BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import DETECTIONS, IMAGE, NUMBER, decode_sound


def sounds(path: Path) -> tuple[np.ndarray, str | None]:
    with Bag(path) as bag:
        blocks = [decode_sound(decode(m), 'x') for m in bag.messages(['/avdet/audio'])]
        return np.concatenate(blocks), bag.partial


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_sound_is_read_back_bit_exactly(write_sound, waveform, tmp_path, storage):
    write_sound(tmp_path / 'drive', storage=storage)
    found, partial = sounds(tmp_path / 'drive')
    assert partial is None
    assert np.array_equal(found, waveform)


def test_bags_of_the_same_sound_have_the_same_bytes(write_sound, tmp_path):
    for name in ('a', 'b'):
        write_sound(tmp_path / name / 'drive')
    files = [tmp_path / name / 'drive' / 'drive.mcap' for name in ('a', 'b')]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_power_loss_loses_at_most_the_last_second(write_sound, waveform, tmp_path):
    writer = write_sound(tmp_path / 'drive', close=False)
    assert not (tmp_path / 'drive' / 'metadata.yaml').exists()
    found, partial = sounds(tmp_path / 'drive')
    assert 'cut off' in partial
    assert len(found) >= len(waveform) - 44100 - 2048
    assert np.array_equal(found, waveform[: len(found)])
    writer.flush()
    assert np.array_equal(sounds(tmp_path / 'drive')[0], waveform)


@pytest.mark.parametrize('kept', [0.35, 0.7, 0.98])
def test_truncated_file_is_read_up_to_its_last_chunk(write_sound, waveform, tmp_path, kept):
    write_sound(tmp_path / 'drive')
    file = tmp_path / 'drive' / 'drive.mcap'
    os.truncate(file, int(file.stat().st_size * kept))
    found, partial = sounds(tmp_path / 'drive')
    assert 'drive.mcap' in partial
    assert len(found) >= kept * len(waveform) - 66150
    assert np.array_equal(found, waveform[: len(found)])


def test_compressed_chunks_are_recovered(tmp_path):
    writer = BagWriter(tmp_path / 'drive', compression='zstd')
    for index in range(30):
        data = b'\0\1\0\0' + bytes([index]) * 1000
        writer.write('/avdet/audio', IMAGE, data, index * 100_000_000)
    writer.close()
    file = tmp_path / 'drive' / 'drive.mcap'
    os.truncate(file, file.read_bytes().index(b'rosbag2'))
    with Bag(tmp_path / 'drive') as bag:
        assert len(list(bag.messages())) == 30
        assert bag.partial


def test_damaged_chunk_is_skipped(write_sound, waveform, tmp_path):
    write_sound(tmp_path / 'drive')
    file = tmp_path / 'drive' / 'drive.mcap'
    content = bytearray(file.read_bytes())
    del content[-5000:]  # no index, so that chunks are read one by one
    middle = len(content) // 2
    content[middle : middle + 30000] = os.urandom(30000)
    file.write_bytes(content)
    with Bag(tmp_path / 'drive') as bag:
        kept = sum(1 for _ in bag.messages())
    assert 0 < kept < len(waveform) / 1024
    assert bag.partial


def test_single_file_of_a_bag_is_read(write_sound, waveform, tmp_path):
    write_sound(tmp_path / 'drive')
    found, partial = sounds(tmp_path / 'drive' / 'drive.mcap')
    assert partial is None
    assert len(found) == len(waveform)


def test_bag_without_metadata_is_read_completely(write_sound, waveform, tmp_path):
    write_sound(tmp_path / 'drive')
    (tmp_path / 'drive' / 'metadata.yaml').unlink()
    assert len(sounds(tmp_path / 'drive')[0]) == len(waveform)


@pytest.mark.parametrize('content', [b'', b'not a bag at all', b'\x89MCAP0\r\n' + b'\0' * 50])
def test_invalid_missing_and_empty_bags_are_rejected(tmp_path, content):
    (tmp_path / 'drive').mkdir()
    (tmp_path / 'drive' / 'drive.mcap').write_bytes(content)
    with pytest.raises(AvdetError, match=r'drive'):
        Bag(tmp_path / 'drive')
    with pytest.raises(AvdetError, match='found nothing'):
        Bag(tmp_path / 'elsewhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(AvdetError, match=r'metadata\.yaml'):
        Bag(tmp_path / 'empty')


def test_truncated_database_is_rejected(write_sound, tmp_path):
    write_sound(tmp_path / 'drive', storage='sqlite3')
    file = next((tmp_path / 'drive').glob('*.db3'))
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(AvdetError, match=r'drive\.db3 cannot be opened: .*malformed') as caught:
        Bag(tmp_path / 'drive')
    assert '\n' not in str(caught.value)


def test_missing_and_mistyped_topics_are_rejected(write_sound, tmp_path):
    write_sound(tmp_path / 'drive')
    with Bag(tmp_path / 'drive') as bag:
        with pytest.raises(AvdetError, match=r'/camera/image_raw.*found none.*/avdet/audio'):
            bag.require('/camera/image_raw', IMAGE)
        with pytest.raises(AvdetError) as caught:
            bag.require('/avdet/audio', DETECTIONS, NUMBER)
        assert str(caught.value) == (
            f'bag {tmp_path / "drive"}: /avdet/audio: expected {DETECTIONS} or {NUMBER}, found '
            f'{IMAGE}'
        )
        with pytest.raises(AvdetError) as caught:
            bag.require('/none', IMAGE, NUMBER)
        assert str(caught.value) == (
            f'bag {tmp_path / "drive"}: /none: expected messages of {IMAGE} or {NUMBER}, found '
            'none; the bag has /avdet/audio'
        )
        assert bag.find('audio', IMAGE) == '/avdet/audio'
        assert bag.find('audio', DETECTIONS) is None


@pytest.mark.parametrize(
    ('topic', 'given', 'latched'),
    [
        ('/avdet/label_info', False, True),
        ('/tf_static', False, True),
        ('/label_info/raw', False, False),
        ('/map', True, True),
        ('/map', False, False),
    ],
)
def test_topics_for_late_subscribers_are_latched(tmp_path, topic, given, latched):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write(topic, NUMBER, b'\0\1\0\0' + bytes(8), 1, given)
    with Bag(tmp_path / 'bag') as bag:
        assert bag.latched == ({topic} if latched else set())


def test_reading_starts_at_the_given_time(write_sound, tmp_path):
    write_sound(tmp_path / 'drive')
    with Bag(tmp_path / 'drive') as bag:
        middle = bag.start_ns + 1_500_000_000
        stamps = [m.stamp_ns for m in bag.messages(start_ns=middle)]
    assert middle <= stamps[0] < middle + 30_000_000
    assert stamps == sorted(stamps)


def test_error_names_the_topic_of_an_undecodable_message(tmp_path):
    with BagWriter(tmp_path / 'drive') as writer:
        writer.write('/avdet/audio', IMAGE, b'\0\1\0\0garbage', 1)
    with Bag(tmp_path / 'drive') as bag:
        message = next(bag.messages())
    with pytest.raises(AvdetError, match=r'/avdet/audio'):
        decode(message)


def test_writer_rejects_existing_folders_and_invalid_messages(write_sound, tmp_path):
    writer = write_sound(tmp_path / 'drive')
    with pytest.raises(AvdetError, match='does not exist yet'):
        BagWriter(tmp_path / 'drive')
    writer = BagWriter(tmp_path / 'other')
    writer.write('/a', IMAGE, b'', 1)
    with pytest.raises(AvdetError, match='as before'):
        writer.write('/a', DETECTIONS, b'', 2)
    with pytest.raises(AvdetError, match='after 1970'):
        writer.write('/a', IMAGE, b'', -1)
    writer.close()


def write_two_megabytes(writer):
    for second in range(20):
        writer.write('/a', IMAGE, bytes(100_000), second * 1_000_000_000)


def test_full_disk_keeps_earlier_messages(tmp_path):
    writer = BagWriter(tmp_path / 'drive')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(AvdetError, match='what was written before stays readable'):
            write_two_megabytes(writer)
        size = writer.size_bytes
        writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert size == writer.size_bytes <= 1 << 20
    with Bag(tmp_path / 'drive') as bag:
        assert 'cut off' in bag.partial
        assert 8 <= sum(1 for _ in bag.messages()) <= 10
