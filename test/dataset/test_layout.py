"""The MAVD layout: ids, split files, pictures and sound, and what check-dataset finds."""

from __future__ import annotations

import json
import os
from pathlib import Path
import pickle
import subprocess
import sys

import cv2
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.dataset.check import check
from avdet_ros.errors import AvdetError

START_NS = 1_587_477_502_123_456_789


def write_frame(
    root: Path,
    frame: layout.FrameId,
    sound: np.ndarray,
    ending: str = '.wav',
    thermal_bits: int = 8,
) -> None:
    """Write a small frame in the MAVD layout."""
    rng = np.random.default_rng(frame.stamp_ns % 1000)
    for modality in layout.PICTURES:
        shape = (65, 192) if modality == 'thermal' else (65, 192, 3)
        image = rng.integers(0, 255, shape).astype(np.uint8)
        picture = '.jpg'
        if modality == 'thermal' and thermal_bits == 16:
            image, picture = image.astype(np.uint16) + 22000, '.png'
        path = layout.picture_path(root, frame, modality, picture)
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), image)
    for path, channel in zip(layout.sound_paths(root, frame, ending), sound, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, channel, layout.SAMPLE_RATE_HZ)


def make_set(
    root: Path, drives: dict[str, str], frames: int = 3
) -> dict[str, list[layout.FrameId]]:
    """Write a data set like a recorded one; ``drives`` maps drive names to splits."""
    rng = np.random.default_rng(1)
    splits: dict[str, list[layout.FrameId]] = {split: [] for split in layout.SPLITS}
    for number, (drive, split) in enumerate(drives.items()):
        for step in range(frames):
            stamp = START_NS + number * 3_600_000_000_000 + step * 250_000_000
            frame = layout.make_id(drive, stamp)
            write_frame(root, frame, rng.normal(0, 0.05, (8, 44100)).astype(np.float32))
            splits[split].append(frame)
    for split, ids in splits.items():
        layout.write_ids(layout.split_path(root, split), ids)
    return splits


@given(st.integers(0, 4 * 10**18), st.integers(0, 999))
def test_frame_ids_round_trip_through_text(stamp_ns: int, code: int) -> None:
    frame = layout.make_id('drive_night_2020_04_21_23_00_00', stamp_ns, code)
    assert layout.parse_id(str(frame)) == frame
    assert not frame.is_day


@settings(max_examples=examples(200))
@given(st.text(max_size=60))
def test_any_text_parses_as_id_or_raises_a_clear_error(text: str) -> None:
    try:
        frame, sentence = layout.parse_id(text), ''
    except AvdetError as error:
        frame, sentence = None, str(error)
    assert not sentence or 'expected <drive>' in sentence
    assert frame is None or '/' not in frame.drive


def test_parse_id_handles_the_papers_example_and_malformed_ids() -> None:
    frame = layout.parse_id('drive_day_2020_04_21_15_58_22/1587477502_123456789_001')
    assert frame.stamp_ns == START_NS
    assert frame.is_day
    assert layout.parse_id('drive_day_x/1587477502_12345678_001') is None
    longest = layout.parse_id('a/' + 12 * '9' + '_' + 12 * '1' + '_001')
    assert longest.stamp_ns == 999_999_999_999_111_111_111
    for bad in ('a/' + 13 * '9' + '_123456789_001', 'a/1_' + 13 * '1' + '_001'):
        with pytest.raises(AvdetError):
            layout.parse_id(bad)
    for bad in ('/etc/1587477502_123456789_001', '../a/1_123456789_1', 'a/b/1_123456789_1'):
        with pytest.raises(AvdetError):
            layout.parse_id(bad)


@pytest.mark.parametrize(
    ('drive', 'is_day'),
    [
        ('day_1', True),
        ('drive_day_2020_03_17_14_07_23', True),
        ('Day-3', True),
        ('ruralDay2', True),
        ('daytime_rain', True),
        ('monday_night_1', False),
        ('friday_2300_rain_night', False),
        ('sunday', False),
        ('holiday_7', False),
        ('day_2_night', False),
        ('DAYS', False),
        ('night_1', False),
    ],
)
def test_daytime_is_read_from_the_drive_name(drive: str, is_day: bool) -> None:
    assert layout.FrameId(0, drive, '').is_day is is_day


def test_split_files_are_sorted_by_time_and_errors_name_the_line(tmp_path: Path) -> None:
    late, early = (
        layout.make_id('drive_day_b', START_NS + 5),
        layout.make_id('drive_day_c', START_NS),
    )
    path = layout.split_path(tmp_path, 'val', 'day', 'static')
    assert path.name == 'val_day_static.txt'
    layout.write_ids(path, [late, early])
    assert layout.read_ids(path) == [early, late]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    path.write_text(f'{early}\n\nnonsense\n')
    with pytest.raises(AvdetError, match=r'val_day_static\.txt:3'):
        layout.read_ids(path)
    with pytest.raises(AvdetError, match='split: expected one of train, val, test'):
        layout.split_path(tmp_path, 'training')
    with pytest.raises(AvdetError, match=r"daytime: expected one of day, night, found 'noon'$"):
        layout.split_path(tmp_path, 'val', 'noon')
    with pytest.raises(
        AvdetError, match=r"variant: expected one of all, static, drive, found ''$"
    ):
        layout.split_path(tmp_path, 'val', None, '')
    missing = tmp_path / 'none.txt'
    words = f'^split file {missing}: expected frame ids, found No such file or directory$'
    with pytest.raises(AvdetError, match=words):
        layout.read_ids(missing)
    path.write_bytes(b'\xff\xfe')
    with pytest.raises(AvdetError, match=r'expected frame ids, found not text$'):
        layout.read_ids(path)


@pytest.mark.parametrize('ending', ['.wav', '.flac', '.mp3'])
def test_sound_is_read_from_every_file_format(tmp_path: Path, ending: str) -> None:
    t = np.arange(44100) / 44100
    tones = np.array([0.3 * np.sin(2 * np.pi * (300 + 100 * i) * t) for i in range(8)], np.float32)
    frame = layout.make_id('drive_day_a', START_NS)
    write_frame(tmp_path, frame, tones, ending)
    sound = layout.read_sound(tmp_path, frame)
    assert sound.shape == (8, 44100)
    assert sound.dtype == np.float32
    if ending != '.mp3':
        np.testing.assert_allclose(sound, tones, atol=1e-4)
    peaks = np.abs(np.fft.rfft(sound, axis=1)).argmax(axis=1)
    np.testing.assert_allclose(peaks, 300 + 100 * np.arange(8), atol=1)


def test_sound_of_a_drive_file_is_cut_around_the_frame(tmp_path: Path) -> None:
    """The value of a sample encodes its number and its channel."""
    rate_hz, folder = 8000, tmp_path / 'drive_day_a'
    folder.mkdir()
    numbers = np.arange(3 * rate_hz)[:, None] + 1000 * np.arange(8)
    soundfile.write(folder / layout.DRIVE_SOUND, numbers.astype(np.int16), rate_hz)
    (folder / 'parameters.json').write_text(json.dumps({'start_ns': START_NS}))

    def read(since_s: float, rate: int = rate_hz) -> np.ndarray:
        frame = layout.make_id('drive_day_a', START_NS + round(since_s * 1e9))
        return layout.read_sound(tmp_path, frame, rate) * 32768

    found = read(0.75)
    assert found.shape == (8, rate_hz)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, numbers[2000:10000].T)
    np.testing.assert_array_equal(read(0.5)[3], 3000 + np.arange(rate_hz))
    np.testing.assert_array_equal(read(2.5)[0, [0, -1]], [16000, 23999])
    for since_s in (0.4999, 2.5002):
        with pytest.raises(AvdetError, match=r'drive\.flac: .* around frame drive_day_a/.*24000'):
            read(since_s)
    with pytest.raises(AvdetError, match='expected 16000 Hz and 8 channels, found 8000 Hz and 8'):
        read(1.5, 16000)


def test_up_to_ten_percent_of_missing_sound_becomes_silence(tmp_path: Path) -> None:
    frame = layout.make_id('drive_day_a', START_NS)
    write_frame(tmp_path, frame, np.full((8, 44100), 0.25, np.float32))
    path = layout.sound_paths(tmp_path, frame)[6]
    soundfile.write(path, np.full(39690, 0.5), 44100)
    found = layout.read_sound(tmp_path, frame)
    assert (found[6, :39690] == 0.5).all()
    assert not found[6, 39690:].any()
    assert (found[[0, 7]] == 0.25).all()
    soundfile.write(path, np.full(50000, 0.5), 44100)
    assert (layout.read_sound(tmp_path, frame)[6] == 0.5).all()
    soundfile.write(path, np.full(39689, 0.5), 44100)
    with pytest.raises(AvdetError, match=r'audio_6_.*found 0\.900 s at 44100 Hz'):
        layout.read_sound(tmp_path, frame)
    soundfile.write(path, np.full(44100, 0.5), 48000)
    with pytest.raises(AvdetError, match=r'expected 1 s at 44100 Hz, found 0\.919 s at 48000 Hz'):
        layout.read_sound(tmp_path, frame)


def test_depth_and_truth_of_own_drives_are_read(tmp_path: Path) -> None:
    frame = layout.make_id('drive_day_a', START_NS)
    path = layout.depth_path(tmp_path, frame)
    assert str(path.relative_to(tmp_path)) == f'drive_day_a/depth_m/depth_m_{frame.stamp}.npy'
    with pytest.raises(AvdetError, match=r'\.npy: expected an array of metres, found'):
        layout.read_depth_m(tmp_path, frame)
    path.parent.mkdir(parents=True)
    np.save(path, np.array([[1.5, 2.5]], np.float16))
    found = layout.read_depth_m(tmp_path, frame)
    assert (found.dtype, found.tolist()) == (np.float32, [[1.5, 2.5]])
    (tmp_path / 'drive_day_a' / 'truth').mkdir()
    lines = [
        {'stamp': 'b', 'boxes_px': [[1, 2, 3, 4], [5, 6, 7, 8]], 'pixels': [9, 10]},
        {'stamp': 'a', 'boxes_px': []},
    ]
    text = ''.join(f'{json.dumps(line)}\n' for line in lines)
    (tmp_path / 'drive_day_a' / 'truth' / 'frames.jsonl').write_text(text)
    truth = layout.read_truth(tmp_path, 'drive_day_a')
    assert list(truth) == ['b', 'a']
    assert truth['b']['boxes_px'].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert (truth['b']['boxes_px'].dtype, truth['a']['boxes_px'].shape) == (np.float32, (0, 4))
    assert (truth['b']['pixels'], truth['b']['distance_m']) == ([9, 10], [None, None])
    assert truth['a']['visible_fraction'] == []


def test_parameters_are_reread_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / 'parameters.json'
    with pytest.raises(AvdetError, match=r"parameters\.json: expected the drive's parameters"):
        layout.read_parameters(tmp_path)
    for number, changed_ns in ((1, 10**18), (2, 2 * 10**18)):
        path.write_text(json.dumps({'start_ns': number}))
        os.utime(path, ns=(changed_ns, changed_ns))
        assert layout.read_parameters(tmp_path) == {'start_ns': number}
    for content in ('[1]', '{"stop_ns": 2}', 'no'):
        path.write_text(content)
        with pytest.raises(AvdetError, match=r'parameters\.json: expected'):
            layout.read_parameters(tmp_path)


def test_thermal_pictures_keep_their_bit_depth(tmp_path: Path) -> None:
    silence = np.zeros((8, 44100), np.float32)
    old, new = layout.make_id('drive_day_a', START_NS), layout.make_id('drive_day_a', START_NS + 9)
    write_frame(tmp_path, old, silence)
    write_frame(tmp_path, new, silence, thermal_bits=16)
    assert layout.read_picture(tmp_path, old, 'thermal').dtype == np.uint8
    counts = layout.read_picture(tmp_path, new, 'thermal')
    assert counts.dtype == np.uint16
    assert counts.min() >= 22000
    assert counts.ndim == 2
    assert layout.read_picture(tmp_path, new, 'rgb').shape == (65, 192, 3)


def test_damaged_files_are_named_in_the_error(tmp_path: Path) -> None:
    frame = layout.make_id('drive_day_a', START_NS)
    with pytest.raises(AvdetError, match=r'cannot read the pic.*123456789_001\.jpg'):
        layout.read_picture(tmp_path, frame, 'rgb')
    write_frame(tmp_path, frame, np.zeros((8, 44100), np.float32))
    layout.picture_path(tmp_path, frame, 'rgb').write_bytes(b'not a picture')
    with pytest.raises(AvdetError, match='found 13 bytes'):
        layout.read_picture(tmp_path, frame, 'rgb')
    sound = layout.sound_paths(tmp_path, frame)[3]
    soundfile.write(sound, np.zeros(22050, np.float32), 44100)
    with pytest.raises(AvdetError, match=r'audio_3_.*expected 1 s at 44100 Hz, found 0\.500 s'):
        layout.read_sound(tmp_path, frame)


def test_pickled_sound_is_never_opened(tmp_path: Path) -> None:
    frame = layout.make_id('drive_day_a', START_NS)
    marker = tmp_path / 'executed'

    class Trap:
        def __reduce__(self):
            return Path.touch, (marker,)

    folder = tmp_path / 'drive_day_a' / 'audio'
    folder.mkdir(parents=True)
    for index in range(8):
        (folder / f'audio_{index}_{frame.stamp}.pkl').write_bytes(pickle.dumps(Trap()))
    with pytest.raises(AvdetError, match='expected sound'):
        layout.read_sound(tmp_path, frame)
    assert not marker.exists()


def test_dataset_check_does_not_import_torch() -> None:
    code = 'import sys, avdet_ros.dataset.check; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def drives() -> dict[str, str]:
    return {'drive_day_a': 'train', 'drive_night_b': 'val', 'drive_day_c': 'test'}


def test_complete_recorded_set_has_no_findings(tmp_path: Path) -> None:
    make_set(tmp_path, drives())
    report = check(tmp_path, 0)
    assert report.findings == []
    assert report.files == {'train_all.txt': 3, 'val_all.txt': 3, 'test_all.txt': 3}
    drive = report.drives['drive_night_b']
    assert drive.rate_hz == pytest.approx(4.0)
    assert drive.sizes == dict.fromkeys(layout.PICTURES, '192x65 8-bit')
    assert drive.level_dbfs == pytest.approx([-26.0] * 8, abs=0.3)


def test_leakage_between_splits_is_found(tmp_path: Path) -> None:
    splits = make_set(tmp_path, drives())
    layout.write_ids(layout.split_path(tmp_path, 'test'), splits['test'] + splits['train'][:1])
    report = check(tmp_path, 1)
    assert report.errors == 1
    assert report.findings[0].what == 'leakage: the drive is in test and train'
    # the same recording under two names
    twin = [layout.make_id('drive_day_twin', frame.stamp_ns + 1) for frame in splits['train']]
    layout.write_ids(layout.split_path(tmp_path, 'test'), twin)
    whats = [finding.what for finding in check(tmp_path, 1).findings]
    assert any('recorded at the same time as drive_day_' in what for what in whats)


def test_faults_of_several_kinds_are_found(tmp_path: Path) -> None:
    splits = make_set(tmp_path, drives(), frames=6)
    train, val, test = (splits[name] for name in layout.SPLITS)
    layout.picture_path(tmp_path, train[1], 'depth').unlink()
    layout.picture_path(tmp_path, val[0], 'rgb').write_bytes(b'x')
    cv2.imwrite(str(layout.picture_path(tmp_path, val[2], 'thermal')), np.zeros((9, 9), np.uint8))
    for path in layout.sound_paths(tmp_path, test[0])[2:3]:
        path.unlink()
    for frame in train:
        soundfile.write(layout.sound_paths(tmp_path, frame)[5], np.zeros(44100), 44100)
    layout.write_ids(layout.split_path(tmp_path, 'val'), [*val[:2], *val[4:], val[2]])
    (tmp_path / 'drive_day_z').mkdir()
    report = check(tmp_path, 0)
    found = {(f.level, f.drive, f.what.split(',')[0]) for f in report.findings}
    assert found >= {
        ('error', 'drive_day_a', 'missing file: fl_rgb_depth'),
        ('error', 'drive_night_b', 'unreadable picture: rgb'),
        ('error', 'drive_night_b', 'pictures of several sizes: thermal'),
        ('error', 'drive_day_c', 'missing file: sound'),
        ('warning', 'drive_day_a', 'channel 5 is silent'),
        ('warning', 'drive_night_b', 'gaps'),
        ('warning', 'drive_day_z', 'drive that no split file lists'),
    }


@pytest.mark.slow
def test_check_dataset_command_exits_with_1_and_writes_json(tmp_path: Path, avdet) -> None:
    splits = make_set(tmp_path / 'set', drives())
    status, _, error = avdet('check-dataset', tmp_path / 'set')
    assert status == 0, error
    layout.sound_paths(tmp_path / 'set', splits['val'][0])[0].write_bytes(b'')
    out = tmp_path / 'report.json'
    status, _, error = avdet('check-dataset', tmp_path / 'set', '--json', out)
    assert status == 1
    assert 'Traceback' not in error
    assert json.loads(out.read_text())['errors'] >= 1
    status, _, error = avdet('check-dataset', tmp_path / 'nothing')
    assert status == 1
    assert 'expected a folder with drives' in error
