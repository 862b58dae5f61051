"""Pictures of a played drive: each modality as the cameras render it, colours in RGB order."""

from __future__ import annotations

from dataclasses import replace
import json

import cv2
from helpers.lone_vehicle import CLEAR, lone_scene
import numpy as np
import pytest

from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError
from avdet_ros.simulation.footage import footage_of
from avdet_ros.simulation.live import LiveDrive
from avdet_ros.simulation.pictures import Cameras


@pytest.fixture(scope='module')
def scene():
    """A scene with an eighth of the pixels in each direction, which is fast to paint."""
    full_size = lone_scene()
    camera = full_size.rig.camera
    parts = {name: getattr(camera, name) / 8 for name in ('fx', 'fy', 'cx', 'cy')}
    small = replace(camera, width_px=240, height_px=81, **parts)
    return replace(full_size, rig=replace(full_size.rig, camera=small))


@pytest.fixture(scope='module')
def rendered(scene):
    return footage_of(LiveDrive('a', 4.0, scene, CLEAR), 5.0)


def test_rendered_instants_are_multiples_of_period_up_to_the_end(rendered):
    for not_before_s, instant in ((-3.0, 0.0), (0.0, 0.0), (0.61, 0.8), (0.8, 0.8), (4.0, 4.0)):
        assert rendered.instant(not_before_s) == pytest.approx(instant)
    assert rendered.instant(4.01) is None


def test_rendered_pictures_match_camera_frames(rendered, scene):
    frame = Cameras(scene, CLEAR).frame(0.8)
    found = rendered.take(0.8, ('thermal', 'rgb', 'depth'))
    assert list(found) == ['thermal', 'rgb', 'depth']
    np.testing.assert_array_equal(found['rgb'], frame.rgb[..., ::-1])
    np.testing.assert_array_equal(found['thermal'], frame.thermal)
    metres = cv2.resize(
        frame.depth_m.astype(np.float32), (240, 81), interpolation=cv2.INTER_NEAREST
    )
    assert found['depth'].dtype == np.float32
    known = metres > 0
    assert 0.1 < known.mean() < 1, 'the sky has no depth'
    assert np.isnan(found['depth'][~known]).all()
    np.testing.assert_allclose(found['depth'][known], metres[known], rtol=1e-3)


def test_only_requested_modalities_are_returned(rendered):
    assert list(rendered.take(0.8, ('depth',))) == ['depth']
    assert list(rendered.take(0.8, ('thermal',))) == ['thermal']


def test_drive_without_pictures_and_world_is_rejected():
    with pytest.raises(AvdetError, match='a: expected a folder of pictures or a world'):
        footage_of(LiveDrive('a', 4.0, None, None), 5.0)


def test_pictures_in_folder_are_returned_unchanged_at_their_stamps(tmp_path):
    """Two frames, at 0.5 and 1.25 s; the second has no depth."""
    start_ns = 1_893_489_315_000_000_000
    for kind in ('fl_rgb', 'fl_ir_aligned', 'depth_m'):
        (tmp_path / 'drive' / kind).mkdir(parents=True)
    (tmp_path / 'drive' / 'parameters.json').write_text(json.dumps({'start_ns': start_ns}))
    frames = [layout.make_id('drive', start_ns + ns) for ns in (500_000_000, 1_250_000_000)]
    for number, frame in enumerate(frames):
        bgr = np.full((6, 8, 3), (10 + number, 120, 200), np.uint8)
        cv2.imwrite(str(layout.picture_path(tmp_path, frame, 'rgb', '.png')), bgr)
        counts = np.arange(48, dtype=np.uint16).reshape(6, 8) + 20_000 + number
        cv2.imwrite(str(layout.picture_path(tmp_path, frame, 'thermal')), counts)
    metres = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(layout.depth_path(tmp_path, frames[0]), metres)
    footage = footage_of(LiveDrive('a', 4.0, None, None, tmp_path / 'drive'), 5.0)
    instants = [footage.instant(not_before_s) for not_before_s in (0.0, 0.5, 0.51, 1.3)]
    assert instants == [pytest.approx(0.5), pytest.approx(0.5), pytest.approx(1.25), None]
    found = footage.take(0.5, ('depth', 'thermal', 'rgb'))
    assert list(found) == ['depth', 'thermal', 'rgb']
    assert found['rgb'][3, 4].tolist() == [200, 120, 10]
    assert (found['thermal'].dtype, found['thermal'][5, 6]) == (np.uint16, 20_046)
    large = np.repeat(np.repeat(metres, 2, axis=0), 2, axis=1)
    large[:2, :2] = np.nan
    np.testing.assert_array_equal(found['depth'], large)
    later = footage.take(1.25, ('thermal', 'depth', 'rgb'))
    assert list(later) == ['thermal', 'rgb']
    assert (later['rgb'][0, 0, 2], later['thermal'][0, 0]) == (11, 20_001)
    assert list(footage.take(0.5, ('rgb',))) == ['rgb']
    assert list(footage.take(0.5, ('depth',))) == ['depth']
