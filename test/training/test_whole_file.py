from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.training.evaluation_files import write_scores
from avdet_ros.training.whole_file import whole_file

ANOTHER = """
from pathlib import Path
import sys
from avdet_ros.training.whole_file import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b'two')
"""


def fail(path, error: Exception) -> None:
    with whole_file(path) as file:
        file.write(b'half')
        raise error


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / 'result.json'
    write_scores({'map': float('nan')}, path)
    assert path.read_text() == '{\n "map": null\n}'
    with pytest.raises(RuntimeError):
        fail(path, RuntimeError('killed'))
    assert 'map' in path.read_text()
    with whole_file(path) as file:
        file.write(b'whole')
    assert path.read_bytes() == b'whole'


def test_what_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / 'taken').write_text('a file')
    path = tmp_path / 'taken' / 'a.json'
    with pytest.raises(AvdetError, match=f'cannot write {path}: '), whole_file(path) as file:
        file.write(b'x')


def test_two_that_write_at_once_do_not_mix(tmp_path):
    path = tmp_path / 'new' / 'a.json'
    with whole_file(path) as file:
        file.write(b'one')
        subprocess.run([sys.executable, '-c', ANOTHER, path], check=True)
        assert path.read_bytes() == b'two'
    assert path.read_bytes() == b'one'
    assert [each.name for each in path.parent.iterdir()] == ['a.json']


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    path = tmp_path / 'a.npz'
    with pytest.raises(AvdetError, match='No space left on device'):
        fail(path, OSError(errno.ENOSPC, 'No space left on device'))
    assert list(tmp_path.iterdir()) == []
