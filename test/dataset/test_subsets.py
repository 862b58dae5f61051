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
def own(drives, tmp_path):
    """Six drives, day and night in turn; the first and the fourth were recorded standing."""
    root = tmp_path / 'drives'
    shutil.copytree(drives, root)
    for number, name in enumerate(names(root)):
        path = root / name / 'parameters.json'
        facts = json.loads(path.read_text())
        path.write_text(json.dumps({**facts, 'static': number in (0, 3)}))
    return root


def names(root) -> list[str]:
    return sorted((path.name for path in root.glob('drive_*')), key=lambda name: name[-19:])


def test_names_and_notes_decide_without_a_list(own):
    of = names(own)
    found = {
        subset: list(by_drive(subset_frames(own, 'train', subset)))
        for subset in (WHOLE, NIGHT, STATIC, Subset('night', 'static'), Subset('day', 'drive'))
    }
    assert list(found.values()) == [of[:4], [of[1], of[3]], [of[0], of[3]], [of[3]], [of[2]]]


def test_the_data_set_s_own_lists_come_first(own):
    frames = layout.read_ids(layout.split_path(own, 'train'))
    layout.write_ids(layout.split_path(own, 'train', 'night', 'static'), frames[:3])
    assert subset_frames(own, 'train', Subset('night', 'static')) == frames[:3]
    assert subset_frames(own, 'train', Subset('night', 'static'), frames[2:5]) == frames[2:3]


def test_lists_give_the_motion_of_recorded_drives(own):
    for name in names(own):
        (own / name / 'parameters.json').unlink()
    frames = layout.read_ids(layout.split_path(own, 'train'))
    layout.write_ids(layout.split_path(own, 'train', None, 'static'), frames[:16])
    by_day = subset_frames(own, 'train', Subset('day', 'static'))
    assert list(by_drive(by_day)) == names(own)[:1]


def test_a_drives_own_note_goes_before_the_lists_and_else_it_is_unknown(own):
    standing, driving, *_ = names(own)
    frames = layout.read_ids(layout.split_path(own, 'val'))
    layout.write_ids(layout.split_path(own, 'val', None, 'static'), frames)
    layout.write_ids(layout.split_path(own, 'test', None, 'drive'), frames_of(own, standing))
    motions = listed_motions(own)
    assert motions == {frames[0].drive: 'static', standing: 'drive'}
    assert [motion_of(own, name, motions) for name in (standing, driving)] == ['static', 'drive']
    (own / standing / 'parameters.json').unlink()
    assert motion_of(own, standing, motions) == 'drive'
    assert motion_of(own, 'drive_elsewhere', motions) == 'unknown'
    path = own / driving / 'parameters.json'
    path.write_text('{"start_ns": 1}')
    assert motion_of(own, driving, {driving: 'static'}) == 'static'


def frames_of(root, drive):
    frames = layout.read_ids(layout.split_path(root, 'train'))
    return [frame for frame in frames if frame.drive == drive]


def test_places_that_are_spread_evenly():
    assert evenly_spaced(9, 3).tolist() == [0, 4, 8]
    assert evenly_spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly_spaced(3, 9).tolist() == [0, 1, 2]
    assert evenly_spaced(5, 1).tolist() == [0]
    assert evenly_spaced(0, 4).tolist() == []


def test_a_subset_is_named_by_what_narrows_it():
    assert [str(subset) for subset in (WHOLE, NIGHT, STATIC, Subset('day', 'drive'))] == [
        'all',
        'night',
        'static',
        'day drive',
    ]


def test_a_subset_without_frames_is_one_sentence(own):
    says = r'expected val frames of static, found none in val_all\.txt \(there is no val_static'
    with pytest.raises(AvdetError, match=says) as caught:
        read_split(own, 0.0, subset=STATIC)
    assert '\n' not in str(caught.value)
    layout.split_path(own, 'test', 'day').write_text('')
    with pytest.raises(AvdetError, match=r'test frames of day, found none in test_day_all\.txt$'):
        subset_frames(own, 'test', Subset(daytime='day'))


def test_the_student_has_the_subset_and_the_teachers_drives_stay(own):
    val, test = (layout.read_ids(layout.split_path(own, split)) for split in ('val', 'test'))
    # A list may name what the whole split does not: that is not taken.
    layout.write_ids(layout.split_path(own, 'val', 'night'), val[:5] + test)
    whole, night = read_split(own, 0.5), read_split(own, 0.5, subset=NIGHT)
    assert (night.teach, night.watch) == (whole.teach, whole.watch)
    assert set(night.train) < set(whole.train)
    assert not any(frame.is_day for frame in night.train)
    assert night.val == tuple(val[:5])
    assert night.about('x').endswith('drives in x (night)')


@pytest.mark.parametrize('command', ['label', 'evaluate'])
def test_commands_name_the_nearest_word(own, command):
    from typer.testing import CliRunner

    from avdet_ros.cli.main import app

    where = [str(own), '--teachers', str(own)] if command == 'label' else ['--data', str(own)]
    result = CliRunner().invoke(app, [command, *where, '--daytime', 'nigth'])
    assert 'expected one of all, day, night' in str(result.exception)
    assert 'did you mean night?' in str(result.exception)
    result = CliRunner().invoke(app, [command, *where, '--motion', 'static'])
    assert 'frames of static, found none' in str(result.exception)
