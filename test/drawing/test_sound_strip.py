"""The sound strip below the picture."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.drawing.sound_strip import SoundStrip


def test_strip_appends_only_new_frames():
    strip = SoundStrip(seconds=2.0)
    quiet, loud = np.full((8, 80, 173), -90.0, 'f4'), np.full((8, 80, 173), -20.0, 'f4')
    strip.add(1.0, quiet)
    strip.add(1.1, loud)
    picture = strip.picture(80, round(2.0 * 172.27)).astype(int).sum(axis=2).mean(axis=0)
    bright = picture > picture.max() - 50
    assert bright.sum() == pytest.approx(17, abs=2)
    assert bright[-15:].all()
    np.testing.assert_allclose(strip.levels_db, -20, atol=0.1)


def test_strip_restarts_when_time_jumps_back():
    strip = SoundStrip(seconds=2.0)
    strip.add(100.0, np.full((8, 80, 173), -20.0, 'f4'))
    strip.add(1.0, np.full((8, 80, 173), -60.0, 'f4'))
    assert (strip._strip == -20.0).sum() == 0
