"""Drawing a drive from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.traffic import furnished, random_scene

RATE = 44100


@pytest.mark.slow
def test_furnishing_keeps_boxes_and_is_repeatable():
    plain = random_scene(40, duration_s=6.0)
    scene, clean = furnished(plain), furnished(plain, corrupted=False)
    np.testing.assert_array_equal(plain.truth(3).boxes_px, scene.truth(3).boxes_px)
    np.testing.assert_array_equal(scene.truth(3).level_db, clean.truth(3).level_db)
    assert not clean.corruption.gain_db.any()
    once = SoundRenderer(scene).read(0, RATE)
    again = SoundRenderer(furnished(random_scene(40, duration_s=6.0))).read(0, RATE)
    assert once.tobytes() == again.tobytes()
    settings_drawn = {furnished(random_scene(seed)).setting for seed in range(60)}
    assert 'tunnel' in settings_drawn
