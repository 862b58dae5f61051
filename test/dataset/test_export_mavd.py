"""Drives in the form of the authors' program: what its loader opens has what ours had."""

from __future__ import annotations

import cv2
from helpers.drives import write_drives
import numpy as np
import pytest
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.dataset.export_mavd import export_mavd
from avdet_ros.errors import AvdetError

pytestmark = pytest.mark.slow


@pytest.fixture
def small_set(tmp_path):
    """One frame a split."""
    root = write_drives(tmp_path / 'own')
    for split in layout.SPLITS:
        path = layout.split_path(root, split)
        layout.write_ids(path, layout.read_ids(path)[:1])
    return root


def test_pictures_and_sound_are_found_under_the_programs_names(small_set, tmp_path):
    out = tmp_path / 'mavd'
    assert export_mavd(small_set, out) == 3
    frame = layout.read_ids(out / 'train_all.txt')[0]
    assert frame == layout.read_ids(small_set / 'train_all.txt')[0]
    # As its loader opens them.
    thermal = cv2.imread(
        str(out / frame.drive / f'fl_ir_aligned/fl_ir_aligned_{frame.stamp}.jpg'),
        cv2.IMREAD_ANYDEPTH,
    )
    assert thermal.dtype == np.uint16
    assert np.array_equal(thermal, layout.read_picture(small_set, frame, 'thermal'))
    for folder in ('fl_rgb', 'fl_rgb_depth'):
        assert cv2.imread(str(out / frame.drive / folder / f'fl_rgb_{frame.stamp}.jpg')).shape == (
            650,
            1920,
            3,
        )
    own = layout.read_sound(small_set, frame)
    for index in range(8):
        sound, rate = soundfile.read(
            out / frame.drive / 'audio' / f'audio_{index}_{frame.stamp}.mp3'
        )
        assert rate == 44100
        assert abs(len(sound) - 44100) < 3000
        assert sound.std() == pytest.approx(own[index].std(), rel=0.1)


def test_what_is_there_is_kept_and_the_rest_is_made(small_set, tmp_path):
    out = tmp_path / 'mavd'
    export_mavd(small_set, out)
    frame = layout.read_ids(out / 'val_all.txt')[0]
    kept = layout.picture_path(out, frame, 'rgb', '.jpg')
    gone = layout.sound_paths(out, frame, '.mp3')[3]
    before = kept.stat().st_mtime_ns
    gone.unlink()
    assert export_mavd(small_set, out) == 3
    assert kept.stat().st_mtime_ns == before
    assert gone.exists()


def test_folders_in_which_the_program_finds_nothing_are_refused(small_set, tmp_path):
    with pytest.raises(AvdetError, match='expected a path without the word "drive"'):
        export_mavd(small_set, tmp_path / 'mydrives')
    with pytest.raises(AvdetError, match=r'expected a data set with train_all\.txt'):
        export_mavd(tmp_path, tmp_path / 'x')
