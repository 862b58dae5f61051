"""The folder of a set: matching settings, complete shards, and explanations of failed writes."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
import errno

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.simulation.shard_folder import (
    MANIFEST,
    drop_oldest,
    explain_failed_workers,
    missing_shards,
    shard_path,
    use_folder,
    write_rows,
)


def test_existing_shards_are_not_made_again(tmp_path):
    assert write_rows(tmp_path, 50, [{'count': np.int64(2)}, {'count': np.int64(0)}]) == 2
    with np.load(shard_path(tmp_path, 50)) as shard:
        assert shard['count'].tolist() == [2, 0]
    (tmp_path / 'windows_0000100.partial').write_bytes(b'half')
    with missing_shards(tmp_path, [0, 50, 100]) as todo:
        assert todo == [0, 100]
        with (
            pytest.raises(AvdetError, match='another run is writing'),
            missing_shards(tmp_path, [0]),
        ):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ['windows_0000050.npz']


def test_oldest_shards_are_dropped_and_count_as_made(tmp_path):
    for first in (50, 100, 200, 250):
        write_rows(tmp_path, first, [{'count': np.int64(1)}])
    firsts = [0, 50, 100, 150, 200, 250, 300]
    drop_oldest(tmp_path, 3)
    assert sorted(tmp_path.glob('*.npz')) == [shard_path(tmp_path, n) for n in (100, 200, 250)]
    with missing_shards(tmp_path, firsts, dropping=True) as todo:
        assert todo == [150, 300]
    with missing_shards(tmp_path, firsts) as todo:
        assert todo == [0, 50, 150, 300]
    drop_oldest(tmp_path, 3)
    assert shard_path(tmp_path, 100).exists()
    drop_oldest(tmp_path, 1)
    shard_path(tmp_path, 250).unlink()
    with missing_shards(tmp_path, firsts, dropping=True) as todo:
        assert todo == firsts


@pytest.mark.parametrize(
    ('error', 'sentence'),
    [
        (OSError(errno.ENOSPC, 'x'), 'set: the disk is full: make room and run the same command'),
        (OSError(errno.EROFS, 'read-only'), 'cannot write into set: read-only'),
        (BrokenProcessPool(), 'set: a process making windows was killed'),
    ],
)
def test_worker_failure_is_explained_in_one_sentence(tmp_path, monkeypatch, error, sentence):
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(AvdetError, match=f'^{sentence}'),
        explain_failed_workers((tmp_path / 'set').relative_to(tmp_path)),
    ):
        raise error


@pytest.mark.parametrize('found', ['[]', '{"format": 2}', 'no JSON'])
def test_folder_of_another_set_is_rejected(tmp_path, found):
    use_folder(tmp_path, {'format': 1})
    use_folder(tmp_path, {'format': 1})
    (tmp_path / MANIFEST).write_text(found)
    with pytest.raises(AvdetError, match=r'format: expected 1 for this set|cannot use the folder'):
        use_folder(tmp_path, {'format': 1})
    (tmp_path / MANIFEST).unlink()
    shard_path(tmp_path, 0).touch()
    with pytest.raises(AvdetError, match=r'expected windows\.json next to the shards, found none'):
        use_folder(tmp_path, {'format': 1})


def test_set_older_than_a_setting_can_be_resumed(tmp_path):
    use_folder(tmp_path, {'format': 2})
    use_folder(tmp_path, {'format': 2, 'recordings': ''}, {'recordings': ''})
    with pytest.raises(AvdetError, match='recordings: expected loops for this set, found ;'):
        use_folder(tmp_path, {'format': 2, 'recordings': 'loops'}, {'recordings': ''})
