from __future__ import annotations

import json
import shutil

import pytest

from avdet_ros.dataset import layout
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.dataset.subsets import (
    WHOLE,
    Subset,
    evenly_spaced,
    listed_motions,
    motion_of,
    subset_frames,
)
from avdet_ros.errors import AvdetError

NIGHT, STATIC = Subset(daytime='night'), Subset(motion='static')


@pytest.fixture
def copied_drives(drives, tmp_path):
    """Six drives, day and night in turn; in the first and the fourth the vehicle stands."""
    root = tmp_path / 'drives'
    shutil.copytree(drives, root)
    for number, name in enumerate(names(root)):
        path = root / name / 'parameters.json'
        facts = json.loads(path.read_text())
        path.write_text(json.dumps({**facts, 'static': number in (0, 3)}))
    return root


def names(root) -> list[str]:
    return sorted((path.name for path in root.glob('drive_*')), key=lambda name: name[-19:])


def test_subsets_without_lists_come_from_names_and_parameters(copied_drives):
    of = names(copied_drives)
    found = {
        subset: list(by_drive(subset_frames(copied_drives, 'train', subset)))
        for subset in (WHOLE, NIGHT, STATIC, Subset('night', 'static'), Subset('day', 'drive'))
    }
    assert list(found.values()) == [of[:4], [of[1], of[3]], [of[0], of[3]], [of[3]], [of[2]]]


def test_lists_of_the_data_set_take_precedence(copied_drives):
    frames = layout.read_ids(layout.split_path(copied_drives, 'train'))
    layout.write_ids(layout.split_path(copied_drives, 'train', 'night', 'static'), frames[:3])
    assert subset_frames(copied_drives, 'train', Subset('night', 'static')) == frames[:3]
    assert (
        subset_frames(copied_drives, 'train', Subset('night', 'static'), frames[2:5])
        == frames[2:3]
    )


def test_lists_give_the_motion_of_recorded_drives(copied_drives):
    for name in names(copied_drives):
        (copied_drives / name / 'parameters.json').unlink()
    frames = layout.read_ids(layout.split_path(copied_drives, 'train'))
    layout.write_ids(layout.split_path(copied_drives, 'train', None, 'static'), frames[:16])
    by_day = subset_frames(copied_drives, 'train', Subset('day', 'static'))
    assert list(by_drive(by_day)) == names(copied_drives)[:1]


def test_motion_prefers_drive_parameters_over_lists(copied_drives):
    standing, driving, *_ = names(copied_drives)
    frames = layout.read_ids(layout.split_path(copied_drives, 'val'))
    layout.write_ids(layout.split_path(copied_drives, 'val', None, 'static'), frames)
    layout.write_ids(
        layout.split_path(copied_drives, 'test', None, 'drive'), frames_of(copied_drives, standing)
    )
    motions = listed_motions(copied_drives)
    assert motions == {frames[0].drive: 'static', standing: 'drive'}
    assert [motion_of(copied_drives, name, motions) for name in (standing, driving)] == [
        'static',
        'drive',
    ]
    (copied_drives / standing / 'parameters.json').unlink()
    assert motion_of(copied_drives, standing, motions) == 'drive'
    assert motion_of(copied_drives, 'drive_elsewhere', motions) == 'unknown'
    path = copied_drives / driving / 'parameters.json'
    path.write_text('{"start_ns": 1}')
    assert motion_of(copied_drives, driving, {driving: 'static'}) == 'static'


def frames_of(root, drive):
    frames = layout.read_ids(layout.split_path(root, 'train'))
    return [frame for frame in frames if frame.drive == drive]


def test_evenly_spaced_returns_spread_indices():
    assert evenly_spaced(9, 3).tolist() == [0, 4, 8]
    assert evenly_spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly_spaced(3, 9).tolist() == [0, 1, 2]
    assert evenly_spaced(5, 1).tolist() == [0]
    assert evenly_spaced(0, 4).tolist() == []


def test_subset_is_named_by_its_restrictions():
    assert [str(subset) for subset in (WHOLE, NIGHT, STATIC, Subset('day', 'drive'))] == [
        'all',
        'night',
        'static',
        'day drive',
    ]


def test_subset_without_frames_raises_a_one_line_error(copied_drives):
    says = r'expected val frames of static, found none in val_all\.txt \(there is no val_static'
    with pytest.raises(AvdetError, match=says) as caught:
        read_split(copied_drives, 0.0, subset=STATIC)
    assert '\n' not in str(caught.value)
    layout.split_path(copied_drives, 'test', 'day').write_text('')
    with pytest.raises(AvdetError, match=r'test frames of day, found none in test_day_all\.txt$'):
        subset_frames(copied_drives, 'test', Subset(daytime='day'))


def test_subset_limits_the_student_and_not_the_teachers(copied_drives):
    val, test = (
        layout.read_ids(layout.split_path(copied_drives, split)) for split in ('val', 'test')
    )
    # A list may contain frames that are not in the whole split: these are ignored.
    layout.write_ids(layout.split_path(copied_drives, 'val', 'night'), val[:5] + test)
    whole, night = read_split(copied_drives, 0.5), read_split(copied_drives, 0.5, subset=NIGHT)
    assert (night.teach, night.watch) == (whole.teach, whole.watch)
    assert set(night.train) < set(whole.train)
    assert not any(frame.is_day for frame in night.train)
    assert night.val == tuple(val[:5])
    assert night.about('x').endswith('drives in x (night)')


@pytest.mark.parametrize('command', ['label', 'evaluate'])
def test_commands_suggest_the_nearest_subset_name(copied_drives, command):
    from typer.testing import CliRunner

    from avdet_ros.cli.main import app

    where = (
        [str(copied_drives), '--teachers', str(copied_drives)]
        if command == 'label'
        else ['--data', str(copied_drives)]
    )
    result = CliRunner().invoke(app, [command, *where, '--daytime', 'nigth'])
    assert 'expected one of all, day, night' in str(result.exception)
    assert 'did you mean night?' in str(result.exception)
    result = CliRunner().invoke(app, [command, *where, '--motion', 'static'])
    assert 'frames of static, found none' in str(result.exception)
