"""Checks of a small data set with one kind of fault at a time."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.dataset.check import Finding, check
from avdet_ros.dataset.odometry import Odometry, write_odometry
from avdet_ros.errors import AvdetError

START_NS = 1_700_000_000_000_000_000
DAY, NIGHT = 'drive_day_1', 'drive_night_1'


def noise(seed=0, std=0.02):
    return np.random.default_rng(seed).normal(0, std, (44100, 8))


def write_sound(root, frame, sound):
    for path, channel in zip(layout.sound_paths(root, frame, '.flac'), sound.T, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link to another frame's
        soundfile.write(path, channel, 44100)


def link_sound(root, frame, other):
    paths = (layout.sound_paths(root, each, '.flac') for each in (frame, other))
    for path, there in zip(*paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.hardlink_to(there)


def write_picture(root, frame, modality, picture, ending='.png'):
    path = layout.picture_path(root, frame, modality, ending)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def frames_of(drive, count=5, step_s=0.2, start_s=0.0):
    return [
        layout.make_id(drive, START_NS + round((start_s + i * step_s) * 1e9)) for i in range(count)
    ]


@pytest.fixture
def data(tmp_path):
    """A day drive for training and a night drive for validation, with pictures of 96 x 32."""
    rng = np.random.default_rng(2)
    for drive, split, start_s in ((DAY, 'train', 0.0), (NIGHT, 'val', 100.0)):
        frames = frames_of(drive, start_s=start_s)
        for frame in frames:
            if frame == frames_of(DAY)[0]:
                write_sound(tmp_path, frame, noise())
            else:
                link_sound(tmp_path, frame, frames_of(DAY)[0])
            write_picture(tmp_path, frame, 'rgb', rng.integers(0, 255, (32, 96, 3), np.uint8))
            counts = rng.integers(22000, 24900, (32, 96), np.uint16)
            write_picture(tmp_path, frame, 'thermal', counts)
        layout.write_ids(layout.split_path(tmp_path, split), frames)
    return tmp_path


def findings(root, **how):
    return check(root, **how).findings


def test_check_summarises_a_correct_data_set(data):
    ticks = []

    class FakeProgress:
        def step(self, name, total):
            ticks.append((name, total))
            return self

        def __enter__(self):
            return lambda: ticks.append(1)

        def __exit__(self, *_):
            pass

    report = check(data, 2, FakeProgress())
    assert (report.findings, report.errors) == ([], 0)
    assert report.files == {'train_all.txt': 5, 'val_all.txt': 5}
    assert ticks == [('drives', 2), 1, 1]
    summary = report.drives[DAY]
    assert (summary.split, summary.frames, summary.gaps, summary.checked) == ('train', 5, 0, 2)
    assert (summary.duration_s, summary.rate_hz) == pytest.approx((0.8, 5.0))
    assert summary.sizes == {'rgb': '96x32 8-bit', 'thermal': '96x32 16-bit', 'depth': ''}
    assert summary.level_dbfs == pytest.approx([20 * np.log10(0.02)] * 8, abs=0.15)
    assert report.drives[NIGHT].split == 'val'
    assert check(data, 0).drives[DAY].checked == 5
    assert check(data).drives[DAY].checked == 5


def test_check_rejects_folder_without_split_files(tmp_path):
    (tmp_path / 'one').touch()
    with pytest.raises(AvdetError, match=r'split files such as train_all\.txt, found 1 other'):
        check(tmp_path)
    with pytest.raises(AvdetError, match='expected a folder with drives, found none'):
        check(tmp_path / 'none')


def test_faults_in_split_files_are_reported(data):
    day, night = frames_of(DAY), frames_of(NIGHT, start_s=100.0)
    layout.write_ids(data / 'train_all.txt', [*day, day[2]])
    (data / 'val_all.txt').write_text(
        ''.join(f'{frame}\n' for frame in night) + f'{NIGHT}/17_5_001\n{NIGHT}/18_5_001\n'
    )
    layout.write_ids(data / 'val_day_all.txt', night[:3])
    (data / 'test_all.txt').write_text('nonsense\n')
    report = check(data)
    found = {(f.level, f.drive, f.what): (f.count, f.example) for f in report.findings}
    assert found.pop(('error', 'test_all.txt', 'unreadable split file'))[0] == 1
    assert found == {
        ('error', 'train_all.txt', 'frame listed twice'): (1, str(day[2])),
        ('error', 'val_day_all.txt', 'frame of another time of day in a day list'): (
            3,
            str(night[0]),
        ),
        (
            'warning',
            'val_all.txt',
            'ids without nine digits of nanoseconds, left out',
        ): (2, 'val_all.txt'),
    }
    assert report.errors == 3
    assert report.files['test_all.txt'] == 0


def test_shared_and_simultaneous_drives_are_leakage(data):
    day = frames_of(DAY)
    night = frames_of(NIGHT, start_s=100.0)
    layout.write_ids(data / 'val_all.txt', [*night, day[1]])
    report = check(data)
    (finding,) = report.findings
    assert finding == Finding(
        'error', DAY, 'leakage: the drive is in train and val', 1, str(day[0])
    )
    assert [report.drives[name].split for name in (DAY, NIGHT)] == ['train val', 'val']
    for start_s, leaks in ((1.7, True), (1.9, False)):
        layout.write_ids(data / 'train_all.txt', day)
        late = frames_of(NIGHT, start_s=start_s)
        for frame in late:
            link_sound(data, frame, day[0])
            write_picture(data, frame, 'rgb', cv2.imread(str(next(data.rglob('fl_rgb_*.png')))))
        layout.write_ids(data / 'val_all.txt', late)
        words = [f.what for f in findings(data) if 'leakage' in f.what]
        told = f'leakage: recorded at the same time as {DAY} of another split'
        assert words == ([told] if leaks else [])


def test_unlisted_and_half_written_drives_are_reported(data):
    (data / 'drive_9').mkdir()
    (data / 'drive_8.part').mkdir()
    (data / 'notes').mkdir()
    assert [(f.level, f.drive, f.what) for f in findings(data)] == [
        ('warning', 'drive_8.part', 'half-written drive'),
        ('warning', 'drive_9', 'drive that no split file lists'),
    ]


def test_missing_speed_and_invalid_air_temperature_are_reported(data):
    """Poses end at 0.2 s and a speed is held for 0.5 s: the frame at 0.8 s is too late."""
    stamps = START_NS + np.array([100_000_000, 200_000_000])
    way = Odometry(stamps, np.zeros(2), np.zeros(2), np.zeros(2), np.array([3.0, 4.0]))
    write_odometry(data / DAY, way)
    (one,) = findings(data)
    assert (one.level, one.drive, one.count) == ('warning', DAY, 1)
    assert one.what == 'frames without a speed in odometry.csv'
    assert one.example == str(frames_of(DAY)[4])
    (data / NIGHT / 'odometry.csv').write_text('stamp_ns,x\n')
    (data / DAY / 'parameters.json').write_text('{"start_ns": 1, "temperature_c": "warm"}')
    assert [(one.level, one.drive) for one in findings(data)] == [('error', DAY), ('error', NIGHT)]
    assert 'odometry.csv:1: expected stamp_ns' in findings(data)[1].example
    assert "found 'warm'" in findings(data)[0].example


def test_gaps_and_frames_with_equal_stamps_are_reported(data):
    frames = frames_of(DAY)
    twin = layout.make_id(DAY, frames[1].stamp_ns, code=2)
    late = frames_of(DAY, 1, start_s=3.0)[0]
    for frame in (twin, late):
        link_sound(data, frame, frames[0])
        for modality in ('rgb', 'thermal'):
            source = layout.picture_path(data, frames[0], modality)
            picture = cv2.imread(str(source), cv2.IMREAD_UNCHANGED)
            write_picture(data, frame, modality, picture)
    layout.write_ids(data / 'train_all.txt', [*frames, twin, late])
    report = check(data)
    assert [(f.level, f.what, f.count, f.example) for f in report.findings] == [
        (
            'warning',
            'frames of the same time that differ only in their code',
            1,
            str(frames[1]),
        ),
        ('warning', 'gaps, the longest 2.2 s', 1, str(frames[4])),
    ]
    summary = report.drives[DAY]
    assert (summary.gaps, summary.rate_hz) == (1, pytest.approx(5))
    assert summary.duration_s == pytest.approx(3)


def test_faulty_pictures_are_reported(data):
    frames = frames_of(DAY)
    write_picture(data, frames[0], 'rgb', np.zeros((32, 96, 3), np.uint8))
    layout.picture_path(data, frames[1], 'rgb').write_bytes(b'no picture')
    write_picture(data, frames[2], 'rgb', np.random.default_rng(0).integers(0, 9, (16, 96, 3)))
    write_picture(data, frames[3], 'thermal', np.full((32, 96), 23000, np.uint16))
    told = findings(data)
    shown = {f.what: f.example for f in told if not f.what.startswith('thermal')}
    unreadable = shown.pop('unreadable picture: rgb')
    assert unreadable.startswith(f'{layout.picture_path(data, frames[1], "rgb")}: expected a pict')
    assert shown == {
        'picture of one colour: rgb': str(layout.picture_path(data, frames[0], 'rgb')),
        'pictures of several sizes: rgb': '96x32 8-bit, 96x16 8-bit',
    }
    found = {f.what.split(':')[0] + f.what[-9:]: (f.level, f.count) for f in told}
    assert found == {
        'picture of one colourlour: rgb': ('warning', 1),
        'unreadable pictureture: rgb': ('error', 1),
        'pictures of several sizesizes: rgb': ('error', 1),
        **{key: ('error', 1) for key in found if key.startswith('thermal picture without contr')},
    }
    assert len(found) == 4


def test_modalities_of_different_sizes_are_reported(data):
    for frame in frames_of(DAY):
        write_picture(
            data,
            frame,
            'thermal',
            np.random.default_rng(1).integers(22000, 24900, (16, 48), np.uint16),
        )
    (finding,) = findings(data)
    assert (finding.level, finding.what) == ('error', 'modalities of different sizes')
    assert "'rgb': '96x32 8-bit', 'thermal': '48x16 16-bit'" in finding.example


def test_faulty_sound_is_reported(data):
    frames = frames_of(DAY)
    sound = noise()
    sound[:, 2] = 0
    sound[:, 3] = sound[:, 1]
    sound[:60, 4] = 1.0  # a little more than a thousandth
    sound[:30, 5] = 1.0
    sound[:, 6] *= 0.05
    for frame in frames:
        write_sound(data, frame, sound)
    layout.sound_paths(data, frames[4])[0].write_bytes(b'no sound')
    found = {f.what: (f.level, f.count, f.example) for f in findings(data)}
    level, count, example = found.pop('unreadable sound')
    assert (level, count) == ('error', 1)
    assert str(layout.sound_paths(data, frames[4])[0]) in example
    assert found == {
        'channel 2 is silent': ('warning', 1, '-200 dBFS'),
        'channels 1 and 3 are the same': ('warning', 4, str(frames[0])),
        'channel 4 is clipped': ('warning', 1, '0.14% of samples'),
        'channels of very different level': (
            'warning',
            1,
            found['channels of very different level'][2],
        ),
    }
    assert found['channels of very different level'][2] == '32 dB'


def test_clips_at_another_sample_rate_are_reported(data):
    """Clips of 48 kHz sound in files that state 44.1 kHz: their overlap reveals it."""
    frames = frames_of(DAY)
    long = np.random.default_rng(5).normal(0, 0.02, (48000 * 3, 8))
    for index, frame in enumerate(frames):
        first = round(index * 0.2 * 48000)
        write_sound(data, frame, long[first : first + 44100])
    (finding,) = findings(data)
    assert finding.what == (
        'clips of another rate: expected 44100 samples a second, found about 48000 by their '
        'overlap'
    )
    assert (finding.level, finding.drive) == ('error', DAY)


def test_drives_of_this_package_get_extra_checks(data):
    frames, folder = frames_of(DAY), data / DAY
    soundfile.write(folder / 'drive.flac', np.zeros((100, 2)), 44100)
    (folder / 'parameters.json').write_text(json.dumps({'start_ns': START_NS}))
    (folder / 'truth').mkdir()
    lines = [json.dumps({'stamp': frame.stamp, 'boxes_px': []}) for frame in frames[1:]]
    (folder / 'truth' / 'frames.jsonl').write_text('\n'.join(lines))
    found = {f.what: (f.level, f.count) for f in findings(data)}
    assert found == {
        'drive without its DONE marker': ('error', 1),
        'frames without truth': ('error', 1),
        'missing file: depth_m': ('error', 5),
        'missing file: fl_rgb_depth': ('error', 5),
        'drive.flac without eight channels': ('error', 1),
    }
    (folder / 'DONE').touch()
    (folder / 'truth' / 'frames.jsonl').write_text('[')
    found = {f.what: (f.level, f.count) for f in findings(data)}
    assert found['unreadable file'] == ('error', 1)
    assert 'drive without its DONE marker' not in found
