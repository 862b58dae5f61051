from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from avdet_ros.audio.features import FrontEnd
from avdet_ros.cli import train_node
from avdet_ros.cli.main import app
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.files import map_member
from avdet_ros.rig import default_rig_path, load_rig
from avdet_ros.training.data.simulated import map_windows
from avdet_ros.training.fitting import run_folder
from avdet_ros.training.networks.calibrated import topic_windows
from avdet_ros.training.networks.layers import pool_frames
from avdet_ros.training.run import train

QUICK = """
labels: simulated
windows: {train: 64, val: 32, test: 32}
fit: {epochs: 2, batch: 16}
"""
QUICKER = """
labels: simulated
windows: {train: 32, val: 32, test: 32}
fit: {epochs: 1, batch: 16}
"""


def write(tmp_path, text: str = QUICK):
    path = tmp_path / 'quick.yaml'
    path.write_text(text)
    return path


def test_windows_are_memory_mapped_from_their_shards(window_folder):
    windows = map_windows(window_folder / 'train', load_rig(), 100)
    assert len(windows) == len(windows.boxes) == 100
    path = window_folder / 'train' / 'windows_0000000.npz'
    with np.load(path) as shard:
        np.testing.assert_array_equal(windows.spectrogram[7], shard['features'][7])
        np.testing.assert_allclose(
            windows.boxes[7], shard['boxes_px'][7, :1] / [1920, 650, 1920, 650], rtol=1e-6
        )
    assert isinstance(map_member(path, 'count'), np.memmap)
    assert windows.boxes[0].shape == (0, 4)


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda folder: (folder / 'windows.json').unlink(), r'cannot read .*windows\.json'),
        (
            lambda folder: (folder / 'windows.json').write_text('{}'),
            'sample_rate_hz: .* found none',
        ),
        (lambda folder: (folder / 'windows.json').write_text('[]'), 'does not describe'),
        (lambda folder: next(folder.glob('*.npz')).write_bytes(b'no'), 'is not a shard'),
        (lambda folder: next(folder.glob('*.npz')).unlink(), 'found none'),
    ],
)
def test_damaged_window_folder_is_rejected(tmp_path, window_folder, damage, message):
    import shutil

    folder = tmp_path / 'train'
    shutil.copytree(window_folder / 'train', folder)
    damage(folder)
    with pytest.raises(AvdetError, match=message):
        map_windows(folder, load_rig())


def test_windows_of_another_rig_are_rejected(tmp_path, window_folder):
    text = default_rig_path().read_text()
    other = tmp_path / 'rig.yaml'
    other.write_text(text.replace('[ 0.250000,  0.000000, 0.0]', '[ 0.300000,  0.000000, 0.0]'))
    with pytest.raises(AvdetError, match='microphones_m: expected those of the rig'):
        map_windows(window_folder / 'train', load_rig(other))


def test_full_rate_windows_pool_to_the_stored_windows(window_folder):
    windows = map_windows(window_folder / 'train', load_rig(), 3)
    whole = topic_windows('window', windows, 3, FrontEnd())
    assert whole[0].shape == (32, 80, 173)
    pooled = pool_frames(torch.from_numpy(whole[2])[None])[0].numpy()
    np.testing.assert_allclose(pooled, windows.spectrogram[2].astype(np.float32), atol=1e-4)


@pytest.mark.slow
def test_training_writes_model_and_card_and_skips_a_finished_run(
    tmp_path, window_folder, log_lines
):
    out = tmp_path / 'run'

    def run_training():
        return train.train(write(tmp_path), window_folder, out)

    model = run_training()
    assert model == out / 'student.onnx'
    names = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    assert json.loads(names['avdet.recipe'])['fit']['epochs'] == 2
    assert json.loads(names['avdet.metrics'])['frames'] == 32
    assert '64 train windows' in names['avdet.data']
    windows = map_windows(window_folder / 'test', load_rig(), 2)
    window = topic_windows('window', windows, 2, FrontEnd())[1]
    Detector(model, load_rig(), FrontEnd()).detect(window)
    card = (out / 'MODEL_CARD.md').read_text()
    scores = json.loads((out / 'scores.json').read_text())
    assert f'{scores["test"]["map50"]:.3f}' in card
    assert f'{scores["constant_boxes"]["map"]:.3f}' in card
    assert 'model: steered' in card
    assert 'no drive is in two splits' in card
    assert (out / 'student_fp16.onnx').exists()
    before = model.read_bytes()
    log_lines.clear()
    run_training()
    assert [line for line in log_lines if 'fitting done already' in line]
    assert 'exported and evaluated already' in log_lines[-1]
    assert model.read_bytes() == before


def test_run_folder_of_another_recipe_is_rejected_on_resume(tmp_path, window_folder):
    out = tmp_path / 'run'
    out.mkdir()
    recipe = train.read_recipe(write(tmp_path))
    run_folder.begin_run(out, recipe, resume=True)
    other = train.read_recipe(write(tmp_path, QUICK.replace('epochs: 2', 'epochs: 3')))
    with pytest.raises(AvdetError, match='expected "epochs: 3", found "epochs: 2"'):
        run_folder.begin_run(out, other, resume=True)
    run_folder.begin_run(out, other, resume=False)
    assert 'epochs: 3' in (out / 'recipe.yaml').read_text()


def test_run_resumes_when_its_recipe_lacks_newer_keys(tmp_path):
    recipe = train.read_recipe(write(tmp_path))
    run_folder.begin_run(tmp_path / 'run', recipe, resume=True)
    noted = tmp_path / 'run' / 'recipe.yaml'
    noted.write_text(noted.read_text().replace('  mix: 0.0\n', ''))
    run_folder.begin_run(tmp_path / 'run', recipe, resume=True)


def test_folder_that_is_not_a_run_is_not_emptied(tmp_path):
    (tmp_path / 'precious.txt').write_text('thesis')
    recipe = train.read_recipe(write(tmp_path))
    with pytest.raises(AvdetError, match='is not the folder of a run'):
        run_folder.begin_run(tmp_path, recipe, resume=False)
    assert (tmp_path / 'precious.txt').exists()


@pytest.mark.slow
def test_comparison_writes_a_table(tmp_path, window_folder):
    recipe = write(
        tmp_path,
        'kind: comparison\nmodels: [steered, image_grid]\nseeds: [1, 2]\n'
        'student: {windows: {train: 48, val: 32, test: 32}, '
        'fit: {epochs: 1, batch: 16, windows: 32}, augmentation: {mirror: false}}\n',
    )
    out = tmp_path / 'run'
    path = train.train(recipe, window_folder, out)
    rows = json.loads(path.read_text())
    order = [('steered', 1), ('image_grid', 1), ('steered', 2), ('image_grid', 2)]
    assert [(row['model'], row['seed']) for row in rows] == order
    assert rows[0]['fit']['windows'] == 32
    table = (out / 'comparison.md').read_text().splitlines()
    assert len(table) == 5
    assert table[2].startswith('| steered | 1.')


def test_train_command_reports_a_misspelt_recipe_key(tmp_path):
    result = CliRunner().invoke(app, ['train', 'student', str(write(tmp_path, 'fit: {epoch: 3}'))])
    assert isinstance(result.exception, AvdetError)
    assert 'fit.epoch' in str(result.exception)
    assert 'did you mean epochs?' in str(result.exception)


@pytest.mark.slow
def test_two_processes_write_a_single_run(tmp_path, window_folder):
    out = tmp_path / 'run'
    launch = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2']
    command = [sys.executable, *launch, '-m', 'avdet_ros.cli.main', 'train', 'student']
    recipe = str(write(tmp_path, QUICKER))
    arguments = [recipe, '--data', str(window_folder), '--out', str(out)]
    done = subprocess.run(
        [*command, *arguments, '--no-progress'],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count('learns from 32 windows') == 1
    assert done.stdout.count('made ') == 1
    # The recipe's batch is the total of both processes.
    last = torch.load(out / 'checkpoints' / 'last.ckpt', weights_only=True)
    assert last['global_step'] == 32 // 16
    assert len(list((out / 'log').glob('version_*'))) == 1
    assert json.loads((out / 'scores.json').read_text())['test']['frames'] == 32
    assert (out / 'student.onnx').exists()


@pytest.mark.slow
def test_ros2_run_accepts_the_arguments_as_parameters(tmp_path, window_folder, monkeypatch):
    pytest.importorskip('rclpy')

    def run(recipe):
        given = {'data': window_folder, 'out': tmp_path / 'run', 'progress': 'false'}
        given['recipe'] = recipe
        words = [word for name, value in given.items() for word in ('-p', f'{name}:={value}')]
        monkeypatch.setattr('sys.argv', ['train', '--ros-args', *words])
        train_node.main()

    with pytest.raises(SystemExit, match=r'^error: .*cannot read the recipe /nowhere\.yaml'):
        run('/nowhere.yaml')
    run(write(tmp_path, QUICKER))
    assert (tmp_path / 'run' / 'student.onnx').exists()


def test_unpooled_student_is_rejected_for_simulated_windows(tmp_path, window_folder):
    recipe = write(tmp_path, QUICK + 'student: {model: stereosoundnet}\n')
    with pytest.raises(AvdetError, match='student of pooled windows for labels: simulated, found'):
        train.train(recipe, window_folder, tmp_path / 'run')
