"""Pictures of a drive that is played: each modality as the cameras have it, red first."""

from __future__ import annotations

from dataclasses import replace

import cv2
from helpers.lone_vehicle import CLEAR, lone_scene
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.simulation.footage import footage_of
from avdet_ros.simulation.live import LiveDrive
from avdet_ros.simulation.pictures import Cameras


@pytest.fixture(scope='module')
def scene():
    """With an eighth of the pixels each way: quick to paint."""
    its = lone_scene()
    camera = its.rig.camera
    parts = {name: getattr(camera, name) / 8 for name in ('fx', 'fy', 'cx', 'cy')}
    small = replace(camera, width_px=240, height_px=81, **parts)
    return replace(its, rig=replace(its.rig, camera=small))


@pytest.fixture(scope='module')
def rendered(scene):
    return footage_of(LiveDrive('a', 4.0, scene, CLEAR), 5.0)


def test_instants_are_multiples_of_the_period_up_to_the_end(rendered):
    for not_before_s, instant in ((-3.0, 0.0), (0.0, 0.0), (0.61, 0.8), (0.8, 0.8), (4.0, 4.0)):
        assert rendered.instant(not_before_s) == pytest.approx(instant)
    assert rendered.instant(4.01) is None


def test_rendered_pictures_are_the_cameras(rendered, scene):
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


def test_only_what_is_asked_for_comes(rendered):
    assert list(rendered.take(0.8, ('depth',))) == ['depth']
    assert list(rendered.take(0.8, ('thermal',))) == ['thermal']


def test_a_drive_without_pictures_and_world_is_refused():
    with pytest.raises(AvdetError, match='a: expected a folder of pictures or a world'):
        footage_of(LiveDrive('a', 4.0, None, None), 5.0)
