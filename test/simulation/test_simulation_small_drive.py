"""A whole drive on disk, with small pictures for speed: every file has the right content."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import yaml

from avdet_ros.dataset import layout
from avdet_ros.rig import default_rig_path, load_rig
from avdet_ros.simulation.drive import write_drive
from avdet_ros.simulation.pictures import Cameras
from avdet_ros.simulation.plan import Plan, make_scene, plan_drives
from avdet_ros.simulation.sound import render_sound

pytestmark = pytest.mark.slow

PLAN = Plan(drives=4, minutes=0.05, seed=12, fps=1.0)


@pytest.fixture(scope='module')
def small_rig(tmp_path_factory):
    """The package's rig file with an eighth of the pixels in each direction."""
    tree = yaml.safe_load(default_rig_path().read_text(encoding='utf-8'))
    for name in ('image_size_px', 'focal_px', 'principal_px'):
        value = tree['camera'][name]
        of = value if isinstance(value, list) else [value]
        part = [number // 8 if name == 'image_size_px' else number / 8 for number in of]
        tree['camera'][name] = part if isinstance(value, list) else part[0]
    path = tmp_path_factory.mktemp('rig') / 'small.yaml'
    path.write_text(yaml.safe_dump(tree), encoding='utf-8')
    return path


@pytest.fixture(scope='module')
def written(small_rig, tmp_path_factory):
    """The drive, the root of its folder, and the number of frames reported as done."""
    root, drive, done = tmp_path_factory.mktemp('drives'), plan_drives(PLAN)[1], []
    write_drive(root, PLAN, drive, small_rig, lambda: done.append(1))
    return drive, root, len(done)


def test_frame_files_match_rendered_pictures_sound_and_truth(written, small_rig):
    drive, root, done = written
    scene, conditions = make_scene(PLAN, drive, small_rig)
    cameras = Cameras(scene, conditions)
    truth = layout.read_truth(root, drive.name)
    assert done == len(truth) == len(PLAN.times_s()) == 3
    whole, rate_hz = soundfile.read(root / drive.name / layout.DRIVE_SOUND, dtype='float32')
    assert (rate_hz, whole.shape) == (44100, (round(PLAN.duration_s * 44100), 8))
    expected = render_sound(scene, 0.0, PLAN.duration_s).T
    assert np.abs(whole - expected).max() < 2**-14
    for t_s, (stamp, line) in zip(PLAN.times_s(), truth.items(), strict=True):
        frame = layout.make_id(drive.name, drive.start_ns + round(t_s * 1e9))
        assert (frame.stamp, line['time_s']) == (stamp, pytest.approx(t_s))
        pictures, now = cameras.frame(float(t_s)), scene.truth(float(t_s))
        rgb = layout.read_picture(root, frame, 'rgb').astype(int)
        assert rgb.shape == (81, 240, 3)
        assert np.abs(rgb - pictures.rgb).mean() < 4
        thermal = layout.read_picture(root, frame, 'thermal')
        assert np.array_equal(thermal, pictures.thermal)
        depth_m = layout.read_depth_m(root, frame)
        assert np.array_equal(depth_m, pictures.depth_m.astype(np.float32))
        assert layout.read_picture(root, frame, 'depth').shape == (81, 240, 3)
        first = round(t_s * 44100) - 22050
        clip = layout.read_sound(root, frame)
        assert np.array_equal(clip, whole[first : first + 44100].T)
        np.testing.assert_allclose(line['boxes_px'], now.boxes_px, atol=0.01)
        assert line['ids'] == now.ids.tolist()
        assert line['kinds'] == list(now.kinds)
        for name in ('distance_m', 'speed_mps', 'in_image', 'visible_fraction'):
            np.testing.assert_allclose(line[name], getattr(now, name), atol=0.01)
        audible = [level is not None for level in line['level_db']]
        assert audible == np.isfinite(now.level_db).tolist()
        np.testing.assert_allclose(line['rest_db'], now.rest_db, atol=0.01)
        assert line['audible'] == now.audible.tolist()
        assert line['label'] == np.isin(now.ids, now.labels().ids).tolist()
        assert line['pixels'] == [pictures.pixels.get(name, 0) for name in line['ids']]


def test_drive_folder_holds_parameters_rig_and_expected_files(written, small_rig):
    drive, root, _ = written
    folder = root / drive.name
    assert (folder / layout.DONE).read_text() == 'complete\n'
    assert load_rig(folder / 'rig.yaml').camera.width_px == 240
    facts = json.loads((folder / 'parameters.json').read_text())
    assert facts['plan']['fps'] == 1.0
    written_facts = (facts['split'], facts['scene_seed'], facts['night'], facts['start_ns'])
    assert written_facts == (drive.split, drive.scene_seed, drive.night, drive.start_ns)
    assert drive.night == ('night' in drive.name)
    assert [path.name for path in root.iterdir()] == [drive.name]
    assert {path.name for path in folder.iterdir()} == {
        'DONE',
        'audio',
        'depth_m',
        'drive.flac',
        'fl_ir_aligned',
        'fl_rgb',
        'fl_rgb_depth',
        'odometry.csv',
        'parameters.json',
        'rig.yaml',
        'truth',
    }
