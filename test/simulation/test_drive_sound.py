"""The sound of a whole drive is rendered piece by piece."""

from __future__ import annotations

from dataclasses import replace

from helpers.lone_vehicle import lone_scene
import numpy as np

from avdet_ros.simulation import drive
from avdet_ros.simulation.sound import SoundRenderer


def test_sound_rendered_in_pieces_equals_sound_rendered_at_once(monkeypatch):
    monkeypatch.setattr(drive, 'RENDER_S', 0.04)
    scene = replace(lone_scene(), duration_s=0.1)
    whole = SoundRenderer(scene).read(0, 4410)
    found = drive.render_drive_sound(scene)
    assert (found.shape, found.dtype) == ((8, 4410), np.int16)
    assert np.ptp(found[3]) > 20
    np.testing.assert_allclose(found, whole * 32768, atol=1)
