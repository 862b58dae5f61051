"""Modules that have moved are found under their former names."""

from __future__ import annotations

import importlib
import sys

from import_graph import PACKAGE
import pytest

from avdet_ros.former_modules import FORMER


def exists(module: str) -> bool:
    path = PACKAGE.joinpath(*module.split('.'))
    return path.with_suffix('.py').is_file() or (path / '__init__.py').is_file()


def test_former_names_map_to_existing_modules_and_hide_none():
    assert all(exists(now) for now in FORMER.values())
    assert not any(exists(former) for former in FORMER)


@pytest.mark.parametrize('former', ['shown', 'audio.calibration', 'audio.loss', 'same_rig'])
def test_former_module_name_works_with_a_deprecation_warning(former):
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


def test_unknown_module_names_are_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('avdet_ros.audio.never')
