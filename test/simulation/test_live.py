"""Drives played live: the same as on disk, with clear errors."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.simulation.drive import write_drive
from avdet_ros.simulation.footage import footage_of
from avdet_ros.simulation.live import drawn_drive, written_drive
from avdet_ros.simulation.plan import Plan, plan_drives
from avdet_ros.sources.simulated import SimulationSource


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp('drives')
    plan = Plan(drives=1, minutes=0.05, seed=6, fps=2.0, clips=False)
    (drive,) = plan_drives(plan)
    write_drive(root, plan, drive)
    return root / drive.name


def read_all(source):
    source.start()
    blocks = []
    while not source.exhausted:
        block = source.read(5.0)
        if block is not None:
            blocks.append(block.samples)
    source.stop()
    return np.concatenate(blocks)


def test_played_sound_equals_drive_file(written):
    source = SimulationSource(load_rig(), 0, 30.0, drive=written, paced=False)
    expected, rate = soundfile.read(written / layout.DRIVE_SOUND, dtype='float32')
    np.testing.assert_array_equal(read_all(source), expected)
    assert source.sample_rate_hz == rate
    truth = next(iter(layout.read_truth(written.parent, written.name).values()))
    assert source.scene.truth(truth['time_s']).ids.tolist() == truth['ids']


def test_footage_has_instants_of_rendered_and_written_pictures(written):
    rig = load_rig()
    rendered = footage_of(drawn_drive(300_001, rig, 4.0), 5.0)
    assert rendered.instant(0.0) == 0.0
    assert rendered.instant(0.61) == pytest.approx(0.8)
    assert rendered.instant(4.01) is None
    on_disk = footage_of(written_drive(written, rig), 5.0)
    assert on_disk.instant(0.0) == pytest.approx(0.5)
    assert on_disk.instant(0.51) == pytest.approx(1.0)
    assert on_disk.instant(99.0) is None
    found = on_disk.take(1.0, ('rgb', 'thermal', 'depth'))
    assert {name: image.dtype.name for name, image in found.items()} == {
        'rgb': 'uint8',
        'thermal': 'uint16',
        'depth': 'float32',
    }
    assert {image.shape[:2] for image in found.values()} == {(650, 1920)}


def test_drive_of_another_version_is_played_without_truth(written, tmp_path):
    copy = tmp_path / written.name
    shutil.copytree(written, copy)
    lines = [json.loads(line) for line in (copy / 'truth/frames.jsonl').read_text().splitlines()]
    lines[0]['ids'] = [identity + 1 for identity in lines[0]['ids']] or [1]
    lines[0]['boxes_px'] = lines[0]['boxes_px'] or [[0, 0, 1, 1]]
    text = '\n'.join(json.dumps(line) for line in lines)
    (copy / 'truth/frames.jsonl').write_text(text)
    drive = written_drive(copy, load_rig())
    assert drive.scene is None
    assert 'no truth is published' in drive.notice
    assert drive.duration_s == pytest.approx(3.0)


def test_invalid_drive_folders_are_rejected(written, tmp_path):
    with pytest.raises(AvdetError, match=r'expected a drive with drive\.flac as avdet sim drives'):
        written_drive(tmp_path, load_rig())
    copy = tmp_path / written.name
    shutil.copytree(written, copy)
    rig = (copy / 'rig.yaml').read_text()
    (copy / 'rig.yaml').write_text(rig.replace('focal_px: [1000', 'focal_px: [1100'))
    with pytest.raises(AvdetError, match=r'expected a drive of the rig in use.*rig:='):
        written_drive(copy, load_rig())
    (copy / 'rig.yaml').write_text(rig)
    soundfile.write(copy / layout.DRIVE_SOUND, np.zeros((100, 2)), 44100, format='FLAC')
    with pytest.raises(AvdetError, match='expected 8 channels at 44100 Hz, found 2'):
        written_drive(copy, load_rig())
    for path in (written / 'fl_rgb').iterdir():
        assert path.suffix == '.jpg'
    shutil.rmtree(copy / 'fl_rgb')
    shutil.copy(written / layout.DRIVE_SOUND, copy / layout.DRIVE_SOUND)
    with pytest.raises(AvdetError, match='fl_rgb: expected pictures, found none'):
        footage_of(written_drive(copy, load_rig()), 5.0)
