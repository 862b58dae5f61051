"""Files of a drive as converted from images, sound and truth of a bag."""

from __future__ import annotations

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import soundfile

from avdet_ros.bags.drive_files import write_clip, write_lists, write_picture, write_truth
from avdet_ros.dataset import layout
from avdet_ros.dataset.depth_colours import BASELINE_M, colour_coded
from avdet_ros.errors import AvdetError

START_NS = 1_700_000_000_000_000_000
FRAME = layout.make_id('drive_day_1', START_NS)


@pytest.fixture
def out(tmp_path):
    (tmp_path / FRAME.drive).mkdir()
    return tmp_path


def test_sound_is_written_losslessly_per_microphone(out, rig):
    clip = np.random.default_rng(0).integers(-30000, 30000, (44100, 8)).astype(np.int16)
    write_clip(out, FRAME, clip, rig)
    found = layout.read_sound(out, FRAME)
    assert np.array_equal(np.round(found * 32768).astype(np.int16), clip.T)
    info = soundfile.info(layout.sound_paths(out, FRAME)[3])
    assert (info.subtype, info.samplerate, info.channels) == ('PCM_16', 44100, 1)
    write_clip(out, FRAME, (clip / 65536).astype(np.float32), rig)
    assert soundfile.info(layout.sound_paths(out, FRAME)[3]).subtype == 'PCM_24'
    assert np.abs(layout.read_sound(out, FRAME) - clip.T / 65536).max() < 2**-23


def write_and_read(out, kind, image, focal_px=1000.0):
    write_picture(out, FRAME, kind, image, focal_px)
    path = layout.picture_path(out, FRAME, kind)
    return path.suffix, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def smooth(channels=3):
    ramp = np.linspace(20, 200, 64, dtype=np.float32)
    planes = [np.outer(np.ones(48), ramp), np.outer(np.linspace(90, 10, 48), np.ones(64))]
    return np.stack([planes[i % 2] for i in range(channels)], -1).astype(np.uint8)


def test_colour_image_is_written_as_jpeg(out):
    ending, found = write_and_read(out, 'rgb', smooth())
    assert ending == '.jpg'
    assert np.abs(found.astype(int) - smooth()).mean() < 2
    with pytest.raises(AvdetError, match=f'{FRAME}: rgb: expected 8 bits a channel, found uint16'):
        write_and_read(out, 'rgb', smooth().astype(np.uint16))


def test_failed_image_write_is_reported_with_its_path(out):
    path = layout.picture_path(out, FRAME, 'rgb', '.jpg')
    path.mkdir(parents=True)
    with pytest.raises(AvdetError, match=f'^cannot write {path}$'):
        write_picture(out, FRAME, 'rgb', smooth(), 1000.0)


def test_thermal_counts_are_kept_and_colours_are_converted_to_grey(out):
    counts = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) + 22000
    ending, found = write_and_read(out, 'thermal', counts)
    assert ending == '.png'
    assert np.array_equal(found, counts)
    layout.picture_path(out, FRAME, 'thermal').unlink()
    ending, found = write_and_read(out, 'thermal', smooth())
    assert (ending, found.ndim) == ('.jpg', 2)
    grey = cv2.cvtColor(smooth(), cv2.COLOR_BGR2GRAY)
    assert np.abs(found.astype(int) - grey).mean() < 2
    with pytest.raises(AvdetError, match='thermal: expected 8 or 16 bits, found float32'):
        write_and_read(out, 'thermal', counts.astype(np.float32))


@pytest.mark.parametrize('kind', [np.uint16, np.float32])
def test_depth_in_millimetres_or_metres_is_written_as_disparity_colours(out, kind):
    metres = np.repeat(np.linspace(4, 40, 64, dtype=np.float32)[None], 48, axis=0)
    metres[:8, :8] = 0
    given = np.round(metres * 1000) if kind == np.uint16 else metres.copy()
    if kind == np.float32:
        given[:8, 8:16] = np.nan
    ending, found = write_and_read(out, 'depth', given.astype(kind), 800.0)
    disparity = np.zeros_like(metres)
    known = (given > 0) & np.isfinite(given)
    disparity[known] = 800.0 * BASELINE_M / metres[known]
    assert ending == '.jpg'
    assert np.abs(found.astype(int) - colour_coded(disparity)).mean() < 4
    ready = colour_coded(disparity)
    _, found = write_and_read(out, 'depth', ready, 1.0)  # colours are kept
    assert np.abs(found.astype(int) - ready).mean() < 4


def test_only_frames_with_truth_are_written(out):
    frames = [layout.make_id(FRAME.drive, START_NS + k * 100_000_000) for k in range(3)]
    box = np.array([[1.234, 2.345, 30.5, 40.0]], np.float32)
    known = {frames[0].stamp_ns: (box, [7]), frames[2].stamp_ns: (np.zeros((0, 4)), [])}
    truth = SimpleNamespace(at=known.get)
    assert write_truth(out / FRAME.drive, frames, truth) == 2
    path = out / FRAME.drive / 'truth' / 'frames.jsonl'
    first, second = [json.loads(line) for line in path.read_text().splitlines()]
    assert first['boxes_px'] == [pytest.approx([1.23, 2.34, 30.5, 40.0], abs=0.011)]
    assert (first['stamp'], first['ids'], first['label']) == (frames[0].stamp, [7], [True])
    assert second == {'stamp': frames[2].stamp, 'boxes_px': [], 'ids': [], 'label': []}
    assert layout.read_truth(out, FRAME.drive)[frames[0].stamp]['boxes_px'].shape == (1, 4)


def test_lists_are_written_by_split_and_time_of_day(out):
    frames = [
        layout.make_id(drive, START_NS + k * 10**9)
        for k, drive in enumerate(('drive_day_1', 'drive_night_1', 'drive_day_2', 'drive_day_2'))
    ]
    splits = {'drive_day_1': 'train', 'drive_night_1': 'train', 'drive_day_2': 'test'}
    write_lists(out, frames[::-1], splits)
    found = {path.name: layout.read_ids(path) for path in out.glob('*.txt')}
    assert found == {
        'train_all.txt': frames[:2],
        'train_day_all.txt': frames[:1],
        'train_night_all.txt': frames[1:2],
        'test_all.txt': frames[2:],
        'test_day_all.txt': frames[2:],
    }
