"""The windows at blind corners on which a measurement runs models."""

from __future__ import annotations

from pathlib import Path

from helpers.lone_vehicle import lone_scene
import numpy as np
import soundfile

from avdet_ros.evaluation.bearing_study import run
from avdet_ros.evaluation.bearing_study.on_windows import WindowPlan
from avdet_ros.evaluation.bearing_study.run import Request
from avdet_ros.evaluation.bearings.early_vehicles import CornerDrive
from avdet_ros.evaluation.runs.window_store import Cut, WindowSetting
from avdet_ros.progress import SILENT
from avdet_ros.simulation.conditions import Condition


def plan_of(condition, tmp_path):
    return WindowPlan(
        setting=WindowSetting(condition, Cut(windows=3)),
        seeds=(7,),
        models={'m': Path('m.onnx')},
        label_offset_s=-0.5,
        cache=tmp_path,
    )


def test_corner_windows_cover_twenty_seconds_at_5_hz(rig, tmp_path, monkeypatch):
    """Five windows a second, with the requested recordings, for models without baselines."""
    condition, notes, plans = Condition('furnished', 'ideal'), [], []
    found = [CornerDrive(lone_scene(seed=seed), []) for seed in (100_004, 100_009)]
    monkeypatch.setattr(run, 'corner_drives', lambda *asked: found if asked[2:] == (5, 2) else [])
    monkeypatch.setattr(run, 'run_windows', lambda plan, *rest: plans.append(plan) or ['windows'])
    hiss = np.random.default_rng(1).normal(0, 0.1, 4410)
    soundfile.write(tmp_path / 'engine.wav', hiss, 8000)
    asked = Request(Path('m.onnx'), condition, seed_from=5, early_drives=2, recordings=tmp_path)
    windows, drives = run._corners(plan_of(condition, tmp_path), asked, rig, SILENT, notes)
    assert (windows, notes) == (['windows'], [])
    (plan,) = plans
    cut = Cut(windows=0, seconds=20.0, rate_hz=5.0)
    assert plan.setting == WindowSetting(condition, cut, tmp_path)
    assert (plan.seeds, drives) == ((100_004, 100_009), found)
    assert (plan.statistics, plan.models, plan.kept) == (None, {'m': Path('m.onnx')}, 2)


def test_roads_without_corners_are_noted(rig, tmp_path):
    condition, notes = Condition('plain', 'ideal'), []
    asked = Request(Path('m.onnx'), condition, seed_from=100_000, early_drives=0)
    assert run._corners(plan_of(condition, tmp_path), asked, rig, SILENT, notes) is None
    assert notes == ['plain, ideal array: there are no blind corners']
