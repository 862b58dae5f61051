"""A recorded drive is converted to frames with matching images, sound and one split."""

from __future__ import annotations

import json

import cv2
from helpers.recorded_drive import DEPTH, HEIGHT, RGB, START_NS, THERMAL, WIDTH
import numpy as np
import pytest

from avdet_ros.bags.dataset import convert, split_drives
from avdet_ros.bags.drive_pictures import choose
from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError


@pytest.mark.parametrize('kind', ['raw', 'compressed'])
def test_clips_are_centred_on_their_images(record, waveform, tmp_path, kind):
    bag = record(tmp_path / 'day_1', rgb=kind)
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    ids = layout.read_ids(tmp_path / 'out' / 'train_all.txt')
    assert (report.frames, report.without_sound, report.split) == (21, 9, 'train')
    assert len(ids) == 21
    for frame in ids:
        index = round((frame.stamp_ns - START_NS) / 1e8)
        middle = round(index * 4410)
        expected = waveform[middle - 22050 : middle + 22050].T / np.float32(32768)
        assert np.array_equal(layout.read_sound(tmp_path / 'out', frame), expected)
        image = layout.read_picture(tmp_path / 'out', frame, 'rgb')
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert abs(image.mean() - (10 + index * 5 % 240)) < 1.5
    assert json.loads((tmp_path / 'out' / 'day_1' / 'parameters.json').read_text()) == {
        'start_ns': START_NS,
        'source': str(bag),
        'topics': {'rgb': RGB},
        'audio': '/avdet/audio',
        'partial': None,
    }
    assert (tmp_path / 'out' / 'train_day_all.txt').exists()
    assert (tmp_path / 'out' / 'day_1' / layout.DONE).exists()
    assert not list((tmp_path / 'out').rglob('*.part'))


def test_modalities_are_matched_by_stamp_and_missing_ones_are_counted(record, tmp_path):
    bag = record(tmp_path / 'night', thermal=True, depth=True, tf=True)
    topics = {'rgb': RGB, 'thermal': THERMAL, 'depth': DEPTH}
    (report,) = convert([bag], tmp_path / 'out', topics)
    assert report.missing == {'thermal': 11}
    assert report.alignment['thermal'].startswith('aligned')
    seen = 0
    for frame in layout.read_ids(tmp_path / 'out' / 'train_night_all.txt'):
        index = round((frame.stamp_ns - START_NS) / 1e8)
        path = layout.picture_path(tmp_path / 'out', frame, 'thermal')
        if index % 2 == 0:
            counts = layout.read_picture(tmp_path / 'out', frame, 'thermal')
            assert counts.dtype == np.uint16
            assert counts.shape == (HEIGHT, WIDTH)
            assert counts[HEIGHT // 2, WIDTH // 2] == 22000 + index
            seen += 1
        else:
            assert not path.exists()
        depth = layout.read_picture(tmp_path / 'out', frame, 'depth')
        disparity = 100 * 0.6 / (2.0 + index)
        colour = cv2.applyColorMap(np.full((1, 1), disparity * 255 / 192, np.uint8), 2)
        assert np.abs(depth[30, 90].astype(int) - colour[0, 0]).max() <= 6
    assert seen == 10


def test_frames_near_gaps_in_the_sound_are_dropped(record, tmp_path):
    bag = record(tmp_path / 'drive', drop=range(60, 63))
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert (report.gaps, report.lost_s) == (1, round(3 * 1024 / 44100, 6))
    for frame in layout.read_ids(tmp_path / 'out' / 'train_all.txt'):
        middle = (frame.stamp_ns - START_NS) * 1e-9
        assert middle + 0.5 <= 60 * 1024 / 44100 + 1e-4 or middle - 0.5 >= 63 * 1024 / 44100 - 1e-4


@pytest.mark.parametrize('rate_hz', [48000, 32000])
def test_sound_of_another_rate_is_rejected(record, tmp_path, rate_hz):
    bag = record(tmp_path / 'drive', rate_hz=rate_hz)
    words = f'/avdet/audio: expected 44100 samples a second as the rig says, found about {rate_hz}'
    with pytest.raises(AvdetError, match=words):
        convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert not (tmp_path / 'out' / 'drive').exists()


def test_drive_ends_where_the_sample_rate_changes(record, tmp_path):
    right = [START_NS + round(i * 1024e9 / 44100) for i in range(43 * 4)]
    wrong = [right[-1] + round((i + 1) * 1024e9 / 48000) for i in range(47 * 5)]
    samples = np.random.default_rng(1).normal(size=(len(right + wrong) * 1024, 8)) * 1000
    bag = record(tmp_path / 'drive', samples=samples.astype(np.int16), stamps_ns=right + wrong)
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert 'found about 48000' in report.partial
    ids = layout.read_ids(tmp_path / 'out' / 'train_all.txt')
    assert ids
    assert ids[-1].stamp_ns < right[-1]


def test_drives_are_split_by_bag(record, tmp_path):
    bags = [record(tmp_path / f'drive_{index}') for index in range(3)]
    reports = convert(bags, tmp_path / 'out', {'rgb': RGB}, rate_hz=2.0)
    assert sorted(report.split for report in reports) == ['test', 'train', 'val']
    for report in reports:
        ids = layout.read_ids(tmp_path / 'out' / f'{report.split}_all.txt')
        assert {frame.drive for frame in ids} == {report.drive}
        assert len(ids) == report.frames == 5
    facts = json.loads((tmp_path / 'out' / 'dataset.json').read_text())
    assert [fact['drive'] for fact in facts] == ['drive_0', 'drive_1', 'drive_2']


def test_split_drives_assigns_every_drive_and_enough_to_train():
    for count in range(1, 30):
        splits = split_drives([f'drive_{index}' for index in range(count)])
        assert len(splits) == count
        assert list(splits.values()).count('train') >= max(1, count // 2 - 1)


def test_frames_are_chosen_despite_camera_jitter():
    rng = np.random.default_rng(4)
    jitter = rng.uniform(-400_000, 400_000, 50).round().astype(int)
    stamps = [10**9 + 100_000_000 * index + int(late) for index, late in enumerate(jitter)]
    stamps[0], stamps[1] = 10**9 + 400_000, 10**9 + 100_000_000 - 400_000
    assert choose(stamps, 10.0) == stamps
    assert choose(stamps, 5.0) == stamps[::2]
    assert len(choose([10**9 + 33_333_333 * index for index in range(90)], 10.0)) == 30
