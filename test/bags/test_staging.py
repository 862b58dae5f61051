"""Files of a bag are sorted by recording order, and staged if they cannot be opened directly."""

from __future__ import annotations

from pathlib import Path
import random

import zstandard

from avdet_ros.bags.staging import (
    _part_number,
    is_message_file,
    message_files,
    needs_staging,
    stage_file,
)


def test_bag_files_sort_by_part_number_with_unnumbered_first():
    names = ['drive.mcap', *(f'drive_{number}.mcap' for number in (0, 1, 2, 3, 9, 10, 11, 100))]
    names[3] += '.zstd'  # compressed as a whole
    files = [Path(name) for name in names]
    mixed = files[:]
    random.Random(5).shuffle(mixed)
    assert sorted(mixed, key=_part_number) == files
    dotted = [Path(f'drive_1.5_{number}.db3') for number in (2, 10)]
    assert sorted([dotted[1], dotted[0]], key=_part_number) == dotted


def test_message_files_are_found_and_checked_for_staging(tmp_path):
    assert [is_message_file(Path(name)) for name in ('a.mcap', 'a.db3.zstd', 'a.db3-wal')] == [
        True,
        True,
        False,
    ]
    for name in ('b_10.mcap', 'b_9.mcap', 'metadata.yaml'):
        (tmp_path / name).touch()
    assert [file.name for file in message_files(tmp_path)] == ['b_9.mcap', 'b_10.mcap']
    for name, staged in (
        ('a.mcap', False),
        ('a#b.mcap', False),
        ('a.mcap.zstd', True),
        ('a.db3', False),
        ('a#b.db3', True),
        ('a?b.db3', True),
        ('a%b.db3', True),
    ):
        (tmp_path / name).touch()
        assert needs_staging(tmp_path / name) == staged, name
    (tmp_path / 'a.db3-wal').touch()
    assert not needs_staging(tmp_path / 'a.db3')
    (tmp_path / 'a.db3-wal').write_bytes(b'log')
    assert needs_staging(tmp_path / 'a.db3')


def test_file_is_decompressed_or_linked_under_a_plain_name(tmp_path):
    staging = tmp_path / 'staging'
    staging.mkdir()
    (tmp_path / 'a#1.mcap').write_bytes(b'messages')
    place = stage_file(tmp_path / 'a#1.mcap', staging, 'part_0')
    assert (place, place.is_symlink()) == (staging / 'part_0.mcap', True)
    assert place.read_bytes() == b'messages'
    packed = tmp_path / 'b.mcap.zstd'
    packed.write_bytes(zstandard.ZstdCompressor().compress(b'more messages'))
    place = stage_file(packed, staging, 'part_1')
    assert (place, place.is_symlink()) == (staging / 'part_1.mcap', False)
    assert place.read_bytes() == b'more messages'
