"""Distractors: sounds that do not come from vehicles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avdet_ros.simulation.distractors import Distractor
from avdet_ros.simulation.sound import render_sound


def test_distractor_is_audible_but_not_labelled(world):
    scene = world((20.0, 3.0, 10.0))
    tram = Distractor('tram', 0, np.array([-20.0, 20.0, 0.5]), np.array([10.0, 0, 0]), 115.0)
    noisy = replace(scene, distractors=(tram,))
    assert render_sound(noisy, 1.5, 0.5).std() > 2 * render_sound(scene, 1.5, 0.5).std()
    truth = noisy.truth(2.0)
    assert len(truth) == 1
    assert truth.rest_db[0] > scene.truth(2.0).rest_db[0] + 20
    deafening = replace(tram, power_db=140.0)
    assert len(replace(scene, distractors=(deafening,)).labels(2.0)) == 0
