"""A rig file made from a bag, and a picture of it, as a user makes them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import soundfile
import yaml

from avdet_ros.bags.from_drive import TOPICS, drive_to_bag
from avdet_ros.dataset import layout
from avdet_ros.rig import default_rig_path, load_rig

START_NS = 1_700_000_000_000_000_000
CAMERA = {
    'image_size_px': [640, 480],
    'focal_px': [500.0, 505.0],
    'principal_px': [310.0, 250.0],
    'position_m': [0.8, 0.1, 1.3],
    'yaw_deg': 3.0,
    'pitch_deg': -1.0,
    'roll_deg': 0.5,
}


@pytest.fixture(scope='module')
def drive(tmp_path_factory):
    """One second of a drive as `avdet sim drives` writes it, with a camera that is not usual."""
    folder = tmp_path_factory.mktemp('set') / 'drive_day_1'
    (folder / 'fl_rgb').mkdir(parents=True)
    soundfile.write(folder / layout.DRIVE_SOUND, np.ones((44100, 8)) / 9, 44100)
    (folder / 'parameters.json').write_text(f'{{"start_ns": {START_NS}}}')
    tree = yaml.safe_load(default_rig_path().read_text())
    tree['camera'] |= CAMERA
    (folder / 'rig.yaml').write_text(yaml.safe_dump(tree))
    frame = layout.make_id(folder.name, START_NS + 500_000_000)
    picture = np.full((480, 640, 3), 90, np.uint8)
    cv2.imwrite(str(layout.picture_path(folder.parent, frame, 'rgb', '.jpg')), picture)
    return folder


@pytest.fixture(scope='module')
def bag(drive):
    path = drive.parent / 'bag'
    drive_to_bag(drive, path)
    return path


def test_camera_of_a_bag_is_written_as_a_rig_file_and_drawn(avdet, bag, drive, tmp_path):
    out, picture = tmp_path / 'my_rig.yaml', tmp_path / 'rig.png'
    topic = TOPICS['rgb']
    status, page, errors = avdet('rig', 'from-bag', bag, '--out', out)
    assert status == 0, errors
    true = load_rig(drive / 'rig.yaml').camera
    found = load_rig(out).camera
    assert (found.width_px, found.height_px) == (true.width_px, true.height_px)
    np.testing.assert_allclose(
        [found.fx, found.fy, found.cx, found.cy], [true.fx, true.fy, true.cx, true.cy]
    )
    np.testing.assert_allclose(found.position_m, true.position_m, atol=1e-6)
    np.testing.assert_allclose(found.rotation, true.rotation, atol=1e-6)
    assert f'camera by {topic}' in page
    status, page, errors = avdet('rig', 'draw', bag, '--rig', out, '--out', picture)
    assert status == 0, errors
    assert cv2.imread(str(picture)).shape == (true.height_px, true.width_px, 3)


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (('from-bag', 'BAG', '--out', 'there.yaml'), 'expected a new file, found one'),
        (('from-bag', 'BAG', '--out', 'new.yaml', '--image', '/no'), '/no'),
        (('draw', 'none.png'), 'none.png: expected a picture, found none'),
        (('draw', '--out', 'rig.docx'), 'expected a name ending in .png or .jpg'),
    ],
)
def test_invalid_arguments_are_rejected(avdet, bag, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'there.yaml').write_text('mine')
    status, _, error = avdet('rig', *(bag if word == 'BAG' else word for word in words))
    assert status == 1
    assert sentence in error
    assert (tmp_path / 'there.yaml').read_text() == 'mine'
    assert not (tmp_path / 'new.yaml').exists()
