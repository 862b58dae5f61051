"""Files that never end, and files that are too large."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avdet_ros.bounded_file import read_bounded
from avdet_ros.detection.model_file import read_model
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.recipe import read_recipe

MIB = 1 << 20


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'x' * MIB)
    assert read_bounded(path, MIB, 'letter') == b'x' * MIB
    path.write_bytes(b'x' * (MIB + 1))
    expected = r'file: expected a letter of at most 1 MiB, found 1048577 bytes'
    with pytest.raises(AvdetError, match=expected):
        read_bounded(path, MIB, 'letter')


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(AvdetError, match=r'cannot read the letter .*none: No such file'):
        read_bounded(tmp_path / 'none', MIB, 'letter')


@pytest.mark.timeout(30)
@pytest.mark.parametrize('read', [read_model, load_rig, read_recipe])
def test_what_never_ends_is_not_waited_for(tmp_path, read):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    for path in (pipe, Path('/dev/zero'), tmp_path):
        with pytest.raises(AvdetError, match='found something that is not a file'):
            read(path)


@pytest.mark.parametrize('read', [load_rig, read_recipe])
def test_a_recipe_and_a_rig_are_small(tmp_path, read):
    path = tmp_path / 'large.yaml'
    path.write_bytes(b'a: b\n' * 300_000)
    with pytest.raises(AvdetError, match='of at most 1 MiB, found 1500000 bytes'):
        read(path)
