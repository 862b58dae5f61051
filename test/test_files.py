from __future__ import annotations

import errno
import os
from pathlib import Path
import subprocess
import sys

import pytest

from avdet_ros.detection.model_file import read_model
from avdet_ros.errors import AvdetError
from avdet_ros.files import make_private_folder, read_bounded, write_atomically
from avdet_ros.rig import load_rig
from avdet_ros.training.recipes.read import read_recipe
from avdet_ros.training.results.evaluation_files import write_scores

ANOTHER = """
from pathlib import Path
import sys
from avdet_ros.files import write_atomically
with write_atomically(Path(sys.argv[1])) as file:
    file.write(b'two')
"""


def fail(path, error: Exception) -> None:
    with write_atomically(path) as file:
        file.write(b'half')
        raise error


def test_file_is_replaced_only_by_a_complete_one(tmp_path):
    path = tmp_path / 'result.json'
    write_scores({'map': float('nan')}, path)
    assert path.read_text() == '{\n "map": null\n}'
    with pytest.raises(RuntimeError):
        fail(path, RuntimeError('killed'))
    assert 'map' in path.read_text()
    with write_atomically(path) as file:
        file.write(b'whole')
    assert path.read_bytes() == b'whole'


def test_unwritable_path_is_named_in_the_error(tmp_path):
    (tmp_path / 'taken').write_text('a file')
    path = tmp_path / 'taken' / 'a.json'
    with pytest.raises(AvdetError, match=f'cannot write {path}: '), write_atomically(path) as file:
        file.write(b'x')


def test_concurrent_writers_do_not_mix_their_content(tmp_path):
    path = tmp_path / 'new' / 'a.json'
    with write_atomically(path) as file:
        file.write(b'one')
        subprocess.run([sys.executable, '-c', ANOTHER, path], check=True)
        assert path.read_bytes() == b'two'
    assert path.read_bytes() == b'one'
    assert [each.name for each in path.parent.iterdir()] == ['a.json']


def test_full_disk_leaves_no_partial_file(tmp_path):
    path = tmp_path / 'a.npz'
    with pytest.raises(AvdetError, match='the disk is full'):
        fail(path, OSError(errno.ENOSPC, 'No space left on device'))
    assert list(tmp_path.iterdir()) == []


MIB = 1 << 20


def test_file_is_read_up_to_its_size_limit(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'x' * MIB)
    assert read_bounded(path, MIB, 'letter') == b'x' * MIB
    path.write_bytes(b'x' * (MIB + 1))
    expected = r'file: expected a letter of at most 1 MiB, found 1048577 bytes'
    with pytest.raises(AvdetError, match=expected):
        read_bounded(path, MIB, 'letter')


def test_unreadable_file_is_named_in_the_error(tmp_path):
    with pytest.raises(AvdetError, match=r'cannot read the letter .*none: No such file'):
        read_bounded(tmp_path / 'none', MIB, 'letter')


@pytest.mark.timeout(30)
@pytest.mark.parametrize('read', [read_model, load_rig, read_recipe])
def test_pipes_devices_and_folders_are_rejected_without_waiting(tmp_path, read):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    for path in (pipe, Path('/dev/zero'), tmp_path):
        with pytest.raises(AvdetError, match='found something that is not a file'):
            read(path)


@pytest.mark.parametrize('read', [load_rig, read_recipe])
def test_oversized_recipes_and_rig_files_are_rejected(tmp_path, read):
    path = tmp_path / 'large.yaml'
    path.write_bytes(b'a: b\n' * 300_000)
    with pytest.raises(AvdetError, match='of at most 1 MiB, found 1500000 bytes'):
        read(path)


def test_private_folder_is_writable_by_this_user_only(tmp_path):
    made = tmp_path / 'a' / 'b'
    make_private_folder(made)
    make_private_folder(made)
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o720)
    with pytest.raises(AvdetError, match='only this user may write to, found mode 720'):
        make_private_folder(made)
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(AvdetError, match=r'cannot make the folder .*file'):
        make_private_folder(tmp_path / 'file')
