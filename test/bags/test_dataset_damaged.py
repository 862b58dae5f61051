"""Damaged recordings: unusable parts are reported, the rest is converted to frames."""

from __future__ import annotations

from helpers.recorded_drive import RGB, START_NS
import numpy as np
import pytest

from avdet_ros.bags.dataset import convert
from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError
from avdet_ros.messages.typestore import serialize


def test_unusable_bags_are_rejected_with_a_reason(record, write_sound, tmp_path):
    write_sound(tmp_path / 'blind')
    record(tmp_path / 'unstamped', picture_stamps=False)
    record(tmp_path / 'apart', shift_ns=-20_000_000_000)
    record(tmp_path / 'small', info=False)
    record(tmp_path / 'soundless', topic='/other/sound')
    for name, words in {
        'blind': rf'blind: {RGB}: expected messages.*found none',
        'unstamped': rf'unstamped: {RGB}: expected stamps',
        'apart': rf'apart: {RGB} and /avdet/audio: expected stamps of one clock.*20\.',
        'small': rf'small: {RGB}: expected pictures of 1920 x 650 as the rig file.*192 x 65',
        'soundless': r'soundless: /avdet/audio: expected.*found none',
    }.items():
        with pytest.raises(AvdetError, match=words):
            convert([tmp_path / name], tmp_path / f'{name}_out', {'rgb': RGB})
    with pytest.raises(AvdetError, match='new or empty'):
        convert([tmp_path / 'small'], tmp_path, {'rgb': RGB})
    with pytest.raises(AvdetError, match='twice'):
        convert([tmp_path / 'small', tmp_path / 'x' / 'small'], tmp_path / 'y', {'rgb': RGB})


@pytest.mark.parametrize('kind', ['short', 'unstamped', 'encoding', 'size', 'damaged'])
def test_one_bad_image_drops_one_frame(record, tmp_path, kind):
    def spoil(image):
        if kind == 'short':
            image.data = image.data[:-10]
        if kind == 'unstamped':
            image.header.stamp.sec = image.header.stamp.nanosec = 0
        if kind == 'encoding':
            image.encoding = 'h264'
        if kind == 'size':
            image.width, image.step = image.width // 2, image.step // 2
            image.data = image.data[: len(image.data) // 2]
        data = serialize(image)
        return data[:40] if kind == 'damaged' else data

    bag = record(tmp_path / 'drive', spoil={15: spoil})
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert report.frames == 20
    assert len(report.bad) == 1
    assert f'{RGB}' in report.bad[0]
    ids = layout.read_ids(tmp_path / 'out' / 'train_all.txt')
    assert len(ids) == 20
    assert {frame.stamp_ns for frame in ids} == {
        START_NS + index * 100_000_000 for index in range(5, 26) if index != 15
    }
    clips = tmp_path / 'out' / 'drive' / 'audio'
    assert len(list(clips.iterdir())) == 8 * 20


def test_camera_with_mostly_bad_images_is_rejected_without_output(record, tmp_path):
    def spoil(image):
        image.encoding = 'h264'
        return serialize(image)

    bag = record(tmp_path / 'drive', spoil=dict.fromkeys(range(4, 30), spoil))
    with pytest.raises(AvdetError, match="found 'h264'"):
        convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
def test_unusable_bag_does_not_block_other_bags_or_the_next_run(record, write_sound, tmp_path):
    bags = [tmp_path / name for name in ('a', 'blind', 'c')]
    record(bags[0])
    write_sound(bags[1])
    record(bags[2])
    out, failed = tmp_path / 'out', []
    with pytest.raises(AvdetError, match=r'1 of 3 bags .*blind.*the other 2 are in'):
        convert(bags, out, {'rgb': RGB}, on_failure=lambda path, error: failed.append(path))
    assert failed == [bags[1]]
    assert (out / 'a' / layout.DONE).exists()
    assert (out / 'c' / layout.DONE).exists()
    assert not list(out.rglob('*.part'))
    kept = (out / 'a' / layout.DONE).stat().st_mtime_ns
    (out / 'unfinished.part').mkdir()  # as left by a power cut
    bags[1].rename(tmp_path / 'gone')
    record(bags[1])
    reports = convert(bags, out, {'rgb': RGB})
    assert sorted(report.drive for report in reports) == ['a', 'blind', 'c']
    assert (out / 'a' / layout.DONE).stat().st_mtime_ns == kept
    listed = [layout.read_ids(out / f'{split}_all.txt') for split in ('train', 'val', 'test')]
    assert sorted(len(ids) for ids in listed) == [21, 21, 21]
    with pytest.raises(AvdetError, match='with the same options'):
        convert(bags, out, {'rgb': RGB}, rate_hz=5.0)


def test_non_finite_samples_are_noted_and_drop_no_frame(record, waveform, tmp_path):
    samples = waveform.astype(np.float32) / np.float32(32768)
    samples[66150, 2] = np.nan
    samples[66150, 3] = np.inf
    bag = record(tmp_path / 'drive', samples=samples)
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert report.frames == 21
    assert report.bad == ['/avdet/audio: 2 samples that are not numbers']
