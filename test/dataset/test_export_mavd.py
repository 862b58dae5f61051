"""Export to the layout of the MAVD authors' program: its loader finds our data unchanged."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.dataset.export_mavd import export_mavd
from avdet_ros.errors import AvdetError

START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def small_set(tmp_path):
    """One frame per split with small pictures, one a PNG, and separate noise in each channel."""
    root, rng = tmp_path / 'own', np.random.default_rng(0)
    for number, split in enumerate(layout.SPLITS):
        name = f'drive_day_{number}'
        frame = layout.make_id(name, START_NS + 10**9 * number)
        ramp = np.add.outer(np.arange(32), 2 * np.arange(96)).astype(np.uint8)
        colour = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=-1)
        pictures = {
            'rgb': (colour, '.png' if split == 'val' else '.jpg'),
            'depth': (colour[::-1], '.jpg'),
            'thermal': (ramp.astype(np.uint16) + 22_000, '.png'),
        }
        for kind, (picture, ending) in pictures.items():
            path = layout.picture_path(root, frame, kind, ending)
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), picture)
        start_ns = frame.stamp_ns - 500_000_000
        (root / name / 'parameters.json').write_text(json.dumps({'start_ns': start_ns}))
        sound = rng.normal(size=(44100, 8)) * np.linspace(0.02, 0.1, 8)
        soundfile.write(root / name / layout.DRIVE_SOUND, sound, 44100)
        layout.write_ids(layout.split_path(root, split), [frame])
    return root


class FakeProgress:
    def __init__(self):
        self.told = []

    def step(self, *what):
        self.told.append(what)
        return self

    def __enter__(self):
        return lambda: self.told.append('frame')

    def __exit__(self, *_):
        pass


def frame_of(root, split):
    return layout.read_ids(layout.split_path(root, split))[0]


def test_exported_files_have_the_names_the_mavd_loader_opens(small_set, tmp_path, log_lines):
    out, shown = tmp_path / 'mavd', FakeProgress()
    assert export_mavd(small_set, out, shown) == 3
    assert (shown.told, log_lines) == ([('frames', 3), *['frame'] * 3], [])
    assert sorted(path.name for path in out.glob('*.txt')) == [
        'test_all.txt',
        'train_all.txt',
        'val_all.txt',
    ]
    for split in layout.SPLITS:
        frame = frame_of(out, split)
        assert frame == frame_of(small_set, split)
        # Opened as the MAVD loader does it.
        path = out / frame.drive / f'fl_ir_aligned/fl_ir_aligned_{frame.stamp}.jpg'
        thermal = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH)
        assert thermal.dtype == np.uint16
        assert np.array_equal(thermal, layout.read_picture(small_set, frame, 'thermal'))
        for kind, folder in (('rgb', 'fl_rgb'), ('depth', 'fl_rgb_depth')):
            copy = out / frame.drive / folder / f'fl_rgb_{frame.stamp}.jpg'
            assert copy.read_bytes()[:2] == b'\xff\xd8', 'a JPEG'
            own = layout.read_picture(small_set, frame, kind).astype(int)
            limit = 0 if (split, kind) != ('val', 'rgb') else 8
            assert np.abs(cv2.imread(str(copy)).astype(int) - own).max() <= limit
    own = layout.read_sound(small_set, frame)
    for index in range(8):
        sound, rate = soundfile.read(
            out / frame.drive / 'audio' / f'audio_{index}_{frame.stamp}.mp3'
        )
        assert rate == 44100
        assert abs(len(sound) - 44100) < 3000
        assert sound.std() == pytest.approx(own[index].std(), rel=0.05)


def test_export_keeps_existing_files_and_makes_missing_ones(small_set, tmp_path):
    out, frame = tmp_path / 'mavd', frame_of(small_set, 'val')
    kept = layout.picture_path(out, frame, 'rgb', '.jpg')
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b'an earlier run')
    sounds = layout.sound_paths(out, frame, '.mp3')
    sounds[0].parent.mkdir(parents=True)
    for path in sounds[:3] + sounds[4:]:
        path.write_bytes(b'an earlier run')
    whole = frame_of(small_set, 'train')
    there = layout.sound_paths(out, whole, '.mp3')
    there[0].parent.mkdir(parents=True)
    for path in there:
        path.write_bytes(b'an earlier run')
    assert export_mavd(small_set, out) == 3
    assert kept.read_bytes() == b'an earlier run'
    assert {path.read_bytes() for path in there} == {b'an earlier run'}
    assert soundfile.info(sounds[3]).samplerate == 44100


def test_unreadable_frame_is_left_out_of_split_files(small_set, tmp_path, log_lines):
    frame = frame_of(small_set, 'test')
    layout.picture_path(small_set, frame, 'depth').write_bytes(b'')
    for split in ('train', 'val'):  # existing sound is not checked
        for path in layout.sound_paths(tmp_path / 'mavd', frame_of(small_set, split), '.mp3'):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert export_mavd(small_set, tmp_path / 'mavd') == 2
    assert layout.read_ids(tmp_path / 'mavd' / 'test_all.txt') == []
    assert len(layout.read_ids(tmp_path / 'mavd' / 'val_all.txt')) == 1
    assert 'skipped' in log_lines[0]
    assert log_lines[1] == f'export of {small_set}: 1 of 3 frames skipped'


def test_export_rejects_unusable_source_and_output_folders(small_set, tmp_path):
    with pytest.raises(AvdetError, match='expected a path without the word "drive"'):
        export_mavd(small_set, tmp_path / 'mydrives' / 'below')
    with pytest.raises(AvdetError, match=r'expected a data set with train_all\.txt'):
        export_mavd(tmp_path, tmp_path / 'x')
