"""Modules that have moved are found under the names they had."""

from __future__ import annotations

import importlib
import sys

from import_graph import PACKAGE
import pytest

from avdet_ros.former_modules import FORMER


def exists(module: str) -> bool:
    path = PACKAGE.joinpath(*module.split('.'))
    return path.with_suffix('.py').is_file() or (path / '__init__.py').is_file()


def test_every_former_name_has_a_place_now_and_none_hides_a_module():
    assert all(exists(now) for now in FORMER.values())
    assert not any(exists(former) for former in FORMER)


@pytest.mark.parametrize('former', ['shown', 'audio.calibration', 'audio.loss', 'same_rig'])
def test_a_former_name_gives_what_is_there_now_and_says_where(former):
    sys.modules.pop(f'avdet_ros.{former}', None)
    with pytest.warns(DeprecationWarning, match=rf'avdet_ros\.{former} is avdet_ros\.') as caught:
        module = importlib.import_module(f'avdet_ros.{former}')
    assert len(caught) == 1
    now = importlib.import_module(f'avdet_ros.{FORMER[former]}')
    names = [name for name in vars(now) if not name.startswith('_')]
    assert names
    assert all(getattr(module, name) is getattr(now, name) for name in names)
    with pytest.raises(AttributeError):
        _ = module.nothing_of_that_name


def test_names_that_never_were_are_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('avdet_ros.audio.never')
