"""Models receive the true motion and air temperature of a simulated drive."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearing_study.assumptions import check_known, true_motion
from avdet_ros.evaluation.runs.window_store import Cut, WindowSetting
from avdet_ros.simulation.conditions import Condition


def test_true_motion_matches_the_simulated_drive(rig):
    """Compared with the simulator's speed, for moving and standing ego vehicles."""
    condition = Condition('plain', 'ideal')
    setting = WindowSetting(condition, Cut(windows=2))
    seeds = range(200_000, 200_012)
    speeds = []
    for seed in seeds:
        scene = condition.scene(seed, rig, setting.cut.duration_s)
        drive = SimpleNamespace(seed=seed, rig=rig, end_s=np.array([1.0, 4.25]))
        found = true_motion(setting, rig, 'speed and air')(drive)
        speed = np.abs(scene.ego.speed_mps(np.array([0.5, 3.75])))
        np.testing.assert_allclose([ahead for ahead, _ in found], speed, atol=0.3)
        assert {air for _, air in found} == {scene.temperature_c}
        (usual,) = {air for _, air in true_motion(setting, rig, 'speed')(drive)}
        assert usual == 20.0
        speeds += [ahead for ahead, _ in found]
    assert min(speeds) == pytest.approx(0, abs=0.1)
    assert max(speeds) > 10


def test_check_known_accepts_only_speed_and_air():
    with pytest.raises(AvdetError, match="expected one of speed, speed and air, found 'wind'"):
        check_known('wind')
    assert [check_known(known) for known in ('', 'speed')] == ['', 'speed']
