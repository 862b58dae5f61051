"""The training benchmark at toy size: real steps are measured, their speed is not asserted."""

from __future__ import annotations

import json

import pytest

from avdet_ros.cli import bench_training as command
from avdet_ros.cli.console import console
from avdet_ros.errors import AvdetError
from avdet_ros.training.studies import training_bench as costs
from avdet_ros.training.studies.loading_bench import loading_rates

SMALL = {'config_name': 'tf_efficientdet_d0', 'side': 256}


@pytest.mark.slow
def test_compact_training_is_measured_with_files(rig, window_folder):
    cost = costs.compact_training(rig, 2, window_folder / 'train')
    assert cost.batch == 32
    assert cost.step_ms > 0
    assert cost.wait_ms > 0
    assert cost.load_ms > 0
    assert cost.memory_mb > 50
    expected = 10 * (cost.step_ms + cost.wait_ms) * 1e-3
    assert cost.epoch_s(320) == pytest.approx(expected)


def test_noise_windows_are_written_and_repeated(rig, tmp_path):
    costs._write_noise(tmp_path / 'noise', rig, 4)
    from avdet_ros.training.data.simulated import map_windows

    windows = costs._repeated(map_windows(tmp_path / 'noise', rig), 10)
    assert len(windows) == 10
    assert windows.spectrogram[0].shape == (32, 80, 44)
    assert len(windows.boxes[7]) == 1


@pytest.mark.slow
def test_command_prints_and_writes_the_results(window_folder, tmp_path, monkeypatch, capsys):
    for name in ('paper_training', 'inference_costs'):
        real = getattr(costs, name)
        monkeypatch.setattr(costs, name, lambda *args, real=real: real(*args, **SMALL))
    monkeypatch.setattr(command, 'STEPS', 1)
    monkeypatch.setattr(console(), 'width', 200)
    out = tmp_path / 'bench.json'
    command.training(None, 1, window_folder / 'train', out)
    printed = capsys.readouterr().out
    assert 'compact (steered)' in printed
    assert 'loading a batch takes' in printed
    assert 'sound to features' in printed
    content = json.loads(out.read_text())
    assert [row['batch'] for row in content['training']] == [32, 1]
    assert content['inference']['share'] == pytest.approx(
        content['inference']['compact']['p50'] / content['inference']['paper']['p50']
    )


@pytest.mark.slow
def test_loading_rates_are_reported_in_frames_per_minute(rig):
    rates = loading_rates(rig, 4)
    assert [rate.what.split()[0] for rate in rates] == ['sound', 'sound', 'batches:', 'a']
    assert all(rate.frames_per_minute > 1 for rate in rates)


def test_missing_windows_are_rejected(rig, tmp_path):
    with pytest.raises(AvdetError, match=r'windows\.json'):
        costs.compact_training(rig, 1, tmp_path)
