"""What has become of each bag is noted, and a second run goes on or refuses."""

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
    """A folder in which both bags have become drives."""
    folder = tmp_path / 'set'
    reports = [DriveReport(str(bag), name, 1, settings=SETTINGS) for bag, name in NAMES.items()]
    for name in NAMES.values():
        (folder / name).mkdir(parents=True)
        (folder / name / layout.DONE).touch()
    write_index(folder, reports, IDS, {'drive_day_1': 'train', 'drive_night_2': 'val'})
    return folder


def test_a_new_and_an_empty_folder_have_nothing(tmp_path):
    assert finished_drives(tmp_path / 'none', NAMES, SETTINGS) == ([], [])
    assert finished_drives(tmp_path, NAMES, SETTINGS) == ([], [])
    (tmp_path / UNFINISHED).mkdir()
    assert finished_drives(tmp_path, NAMES, SETTINGS) == ([], [])


def test_what_was_finished_is_known_again(out):
    reports, frames = finished_drives(out, NAMES, SETTINGS)
    assert [(report.bag, report.drive, report.frames) for report in reports] == [
        ('/bags/one', 'drive_day_1', 1),
        ('/bags/two', 'drive_night_2', 1),
    ]
    assert frames == IDS
    assert layout.read_ids(out / 'train_all.txt') == IDS[:1]
    assert layout.read_ids(out / 'val_night_all.txt') == IDS[1:]
    # A bag more is a drive more to come.
    more = {**NAMES, Path('/bags/three'): 'drive_day_3'}
    assert len(finished_drives(out, more, SETTINGS)[0]) == 2


def refused(out, names=NAMES, settings=SETTINGS):
    with pytest.raises(AvdetError, match='expected a new or empty folder for the data set, or on'):
        finished_drives(out, names, settings)
    return True


def test_other_bags_other_options_and_other_files_are_refused(out, tmp_path):
    assert refused(out, settings={**SETTINGS, 'fps': 5.0})
    assert refused(out, {Path('/bags/other'): 'drive_day_1', Path('/bags/two'): 'drive_night_2'})
    assert refused(out, {Path('/bags/one'): 'drive_day_1'})
    (out / 'drive_night_2' / layout.DONE).unlink()
    assert refused(out)
    (tmp_path / 'thesis.txt').touch()
    assert refused(tmp_path)
    (tmp_path / 'half').mkdir()
    (tmp_path / 'half' / UNFINISHED).mkdir()
    (tmp_path / 'half' / 'thesis.txt').touch()
    assert refused(tmp_path / 'half')


@pytest.mark.parametrize('content', ['[{"nothing": 1}]', 'no', '{}'])
def test_a_damaged_index_is_refused(out, content):
    (out / INDEX).write_text(content)
    if content == '{}':  # an index of nothing
        assert finished_drives(out, NAMES, SETTINGS)[0] == []
    else:
        assert refused(out)


def test_the_index_is_read_by_people_too(out):
    first, second = json.loads((out / INDEX).read_text())
    assert (first['drive'], first['partial'], first['missing']) == ('drive_day_1', None, {})
    assert second['settings'] == SETTINGS
    assert (out / INDEX).read_text().startswith('[\n  {\n    "bag": "/bags/one",\n')
