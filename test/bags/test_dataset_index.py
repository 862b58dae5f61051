"""The index records each converted bag; a second run continues or is rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avdet_ros.bags.dataset_index import (
    INDEX,
    UNFINISHED,
    DriveReport,
    finished_drives,
    write_index,
)
from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError

NAMES = {Path('/bags/one'): 'drive_day_1', Path('/bags/two'): 'drive_night_2'}
SETTINGS = {'fps': 10.0, 'rig': 'a.yaml'}
IDS = [layout.make_id(name, 10**18 + k) for k, name in enumerate(sorted(NAMES.values()))]


@pytest.fixture
def out(tmp_path):
    """A folder in which both bags have been converted to drives."""
    folder = tmp_path / 'set'
    reports = [DriveReport(str(bag), name, 1, settings=SETTINGS) for bag, name in NAMES.items()]
    for name in NAMES.values():
        (folder / name).mkdir(parents=True)
        (folder / name / layout.DONE).touch()
    write_index(folder, reports, IDS, {'drive_day_1': 'train', 'drive_night_2': 'val'})
    return folder


def test_new_or_empty_folder_has_no_finished_drives(tmp_path):
    assert finished_drives(tmp_path / 'none', NAMES, SETTINGS) == ([], [])
    assert finished_drives(tmp_path, NAMES, SETTINGS) == ([], [])
    (tmp_path / UNFINISHED).mkdir()
    assert finished_drives(tmp_path, NAMES, SETTINGS) == ([], [])


def test_finished_drives_are_read_back(out):
    reports, frames = finished_drives(out, NAMES, SETTINGS)
    assert [(report.bag, report.drive, report.frames) for report in reports] == [
        ('/bags/one', 'drive_day_1', 1),
        ('/bags/two', 'drive_night_2', 1),
    ]
    assert frames == IDS
    assert layout.read_ids(out / 'train_all.txt') == IDS[:1]
    assert layout.read_ids(out / 'val_night_all.txt') == IDS[1:]
    # An additional bag is not finished yet.
    more = {**NAMES, Path('/bags/three'): 'drive_day_3'}
    assert len(finished_drives(out, more, SETTINGS)[0]) == 2


def is_rejected(out, names=NAMES, settings=SETTINGS):
    with pytest.raises(AvdetError, match='expected a new or empty folder for the data set, or on'):
        finished_drives(out, names, settings)
    return True


def test_other_bags_options_or_files_are_rejected(out, tmp_path):
    assert is_rejected(out, settings={**SETTINGS, 'fps': 5.0})
    assert is_rejected(
        out, {Path('/bags/other'): 'drive_day_1', Path('/bags/two'): 'drive_night_2'}
    )
    assert is_rejected(out, {Path('/bags/one'): 'drive_day_1'})
    (out / 'drive_night_2' / layout.DONE).unlink()
    assert is_rejected(out)
    (tmp_path / 'thesis.txt').touch()
    assert is_rejected(tmp_path)
    (tmp_path / 'half').mkdir()
    (tmp_path / 'half' / UNFINISHED).mkdir()
    (tmp_path / 'half' / 'thesis.txt').touch()
    assert is_rejected(tmp_path / 'half')


@pytest.mark.parametrize('content', ['[{"nothing": 1}]', 'no', '{}'])
def test_damaged_index_is_rejected(out, content):
    (out / INDEX).write_text(content)
    if content == '{}':  # an empty index
        assert finished_drives(out, NAMES, SETTINGS)[0] == []
    else:
        assert is_rejected(out)


def test_index_is_human_readable(out):
    first, second = json.loads((out / INDEX).read_text())
    assert (first['drive'], first['partial'], first['missing']) == ('drive_day_1', None, {})
    assert second['settings'] == SETTINGS
    assert (out / INDEX).read_text().startswith('[\n  {\n    "bag": "/bags/one",\n')
