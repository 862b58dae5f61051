"""Content of the drives, and the cost of making them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from avdet_ros.cli.main import app
from avdet_ros.rig import load_rig
from avdet_ros.simulation import census, check, speed
from avdet_ros.simulation.plan import Plan

pytestmark = pytest.mark.slow


def test_vehicle_counts_are_similar_to_mavd():
    found = census.count(load_rig())
    assert 2.3 < found.seen.mean() < 4.0  # MAVD: 3
    assert found.seen.min() == 0
    assert 8 <= found.seen.max() <= 14  # MAVD: 13
    assert found.audible_hidden > 0.01
    assert min(found.manoeuvres.values()) > 20
    assert set(found.settings) == {'city', 'country', 'motorway', 'roadside', 'junction', 'tunnel'}


def test_speed_measures_cost_of_windows_frames_and_sound(monkeypatch):
    monkeypatch.setattr(speed, 'PLAN', Plan(drives=1, minutes=0.05, seed=3, fps=1.0))
    monkeypatch.setattr(speed, 'WINDOW_SEEDS', range(200_200, 200_201))
    cost = speed.measure(load_rig())
    assert (cost.windows, cost.frames) == (3, 3)
    # a frame on disk needs its pictures, its sound, and more
    assert cost.frame_s > cost.pictures_s > 0
    assert min(cost.window_s, cost.sound_s) > 0


@pytest.mark.parametrize(('measured', 'status'), [(1.0, 0), (9.0, 1)])
def test_sim_check_prints_census_and_speed_and_fails_on_wrong_physics(
    monkeypatch, measured, status
):
    finding = check.Finding('level', 'dB', measured, 1.0, 0.5, 'by hand')
    monkeypatch.setattr(check, 'check', lambda rig: iter([finding]))
    monkeypatch.setattr(check, 'render_factor', lambda rig: 15.0)
    monkeypatch.setattr(census, 'SEEDS', range(200_000, 200_004))
    cost = SimpleNamespace(
        window_s=0.12, windows=90, pictures_s=0.08, frame_s=0.2, frames=100, sound_s=0.1
    )
    monkeypatch.setattr(speed, 'measure', lambda rig, path: cost)
    done = CliRunner().invoke(app, ['sim', 'check', '--speed'])
    assert '4 drives of 20 s' in done.output
    assert '10,000 in 10.0 min on 2 cores' in done.output
    assert '25 a second on 2 cores' in done.output
    assert '10.0 a second on 2 cores' in done.output
    if status:
        assert 'measured and expected differ: level' in str(done.exception)
    else:
        assert done.exit_code == 0
