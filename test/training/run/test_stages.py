"""All stages of training at small scale on simulated drives, through the user commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from avdet_ros.audio.features import FrontEnd
from avdet_ros.cli.main import app
from avdet_ros.dataset import layout
from avdet_ros.dataset.features import map_features
from avdet_ros.dataset.labels import read_labels
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.recipes.read import read_recipe
from avdet_ros.training.run.context import open_run
from avdet_ros.training.run.train import run_student, train

TINY = """
kind: student
labels: teachers
teachers:
  modalities: [rgb, thermal]
  config_name: tf_efficientdet_lite0
  height: 128
  width: 256
  anchor_scale: 2.0
  crop: false
  epochs: 1
  batch: 4
transfer: {teachers: [rgb, thermal], loss: mta}
pretext: {epochs: 1, batch: 8}
fit: {epochs: 1, batch: 8, average: 0.5}
"""


def write(tmp_path, text: str = TINY):
    path = tmp_path / 'tiny.yaml'
    path.write_text(text)
    return path


@pytest.mark.slow
def test_train_command_makes_a_working_student_and_skips_finished_stages(drives, tmp_path):
    out = tmp_path / 'm6'
    recipe = write(tmp_path, TINY + 'subset: {motion: drive}\n')
    arguments = ['train', 'student', str(recipe), '--data', str(drives), '--out', str(out)]
    result = CliRunner().invoke(app, [*arguments, '--no-progress'])
    assert result.exit_code == 0, result.output
    left = {path.name for path in out.iterdir()}
    files = 'student.onnx student_fp16.onnx MODEL_CARD.md report.html scores.json evaluation.npz'
    stages = 'recipe.yaml fit.json calibration.json teachers labels pretext checkpoints log'
    assert {*files.split(), *stages.split()} <= left

    detector = Detector(out / 'student.onnx', load_rig(), FrontEnd())
    assert detector.contract.metrics['fused labels']['frames'] == 8
    assert json.loads(detector.contract.recipe)['transfer']['loss'] == 'mta'
    frame = read_split(drives, 0.0).test[3]
    detector.detect(FrontEnd().compute(layout.read_sound(drives, frame)))
    scores = json.loads((out / 'scores.json').read_text())
    assert set(scores['results']) == {'fused labels', 'true boxes'}
    with np.load(out / 'evaluation.npz') as arrays:
        assert arrays['kinds'].tolist() == ['fused labels', 'true boxes']
        assert len(arrays['0_drives']) == 8
        assert len(arrays['1_boxes_px']) == 8  # one true box a frame
        assert len(arrays['0_0_boxes_px']) == len(arrays['0_0_scores'])
    card = (out / 'MODEL_CARD.md').read_text()
    assert 'without hand-made labels' in card
    assert 'Multi-Teacher Alignment (corrected, product of the teachers)' in card
    assert '<html' in (out / 'report.html').read_text()

    before = (out / 'student.onnx').stat().st_mtime_ns
    again = CliRunner().invoke(app, [*arguments, '--no-progress'])
    assert again.exit_code == 0, again.output
    assert again.output.count('exists already') == 2
    for stage in ('pretext', 'fitting', 'calibration'):
        assert f'{stage} done already' in again.output
    assert 'look at' not in again.output
    assert 'exported and evaluated already' in again.output
    assert (out / 'student.onnx').stat().st_mtime_ns == before
    (out / 'report.html').unlink()
    again = CliRunner().invoke(app, [*arguments, '--no-progress'])
    assert again.exit_code == 0, again.output
    assert (out / 'report.html').exists()

    # The student learns from labels, not the truth: the teachers' drives are not labelled.
    split = read_split(drives, 0.5)
    labelled = {path.stem for path in (out / 'labels').glob('*.npz')}
    assert not {frame.drive for frame in split.teach} & labelled
    # One of the two drives for the student was recorded at standstill.
    assert labelled == set(by_drive(split.student)) - {sorted(by_drive(split.train))[0]}
    assert '(drive), labelled by teachers' in card
    assert scores['windows'] == {'train': 8, 'val': 8, 'test': 8}


@pytest.mark.slow
def test_student_is_trained_on_teacher_labels_of_simulated_drives(tmp_path):
    """Labels and features of a few seconds of simulated traffic have the same frames."""
    root = tmp_path / 'drives'
    arguments = [
        'sim',
        'drives',
        str(root),
        '--drives',
        '5',
        '--minutes',
        '0.05',
        '--fps',
        '1',
        '--jobs',
        '1',
        '--no-clips',
        '--seed',
        '3',
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    out = tmp_path / 'run'
    text = TINY.replace('[rgb, thermal]', '[thermal]').replace('loss: mta', 'loss: none')
    train(write(tmp_path, text), root, out)
    split = read_split(root, 0.5)
    for name, frames in by_drive(split.student).items():
        labels = read_labels(out / 'labels' / f'{name}.npz')
        places, sound = map_features(root, 'window', name)
        assert set(labels.ids.tolist()) == set(places) == {frame.stamp for frame in frames}
        assert np.isfinite(sound.astype(np.float32)).all()
    assert (out / 'student.onnx').exists()


@pytest.mark.slow
def test_student_learns_from_a_custom_teacher(drives, bright_spots, tmp_path):
    text = TINY.replace('[rgb, thermal]', '[rgb]').replace(
        'pretext: {epochs: 1', 'pretext: {epochs: 0'
    )
    recipe, out = read_recipe(write(tmp_path, text)), tmp_path / 'run'
    model = run_student(open_run(recipe, drives, out, ready_teachers={'rgb': bright_spots}))
    assert json.loads((out / 'labels' / 'labels.json').read_text())['teachers'] == {
        'rgb': 'bright spots'
    }
    assert not (out / 'teachers').exists()
    scores = json.loads((out / 'scores.json').read_text())
    # No drives are reserved for teachers: all but validation and test train the student.
    assert scores['windows'] == {'train': 32, 'val': 8, 'test': 8}
    Detector(model, load_rig(), FrontEnd())


def test_teacher_labels_require_a_folder_of_drives(tmp_path):
    with pytest.raises(
        AvdetError, match=r'labels: teachers: expected --data, a folder of drives in the MAVD'
    ):
        train(write(tmp_path), None, tmp_path / 'run')
    (tmp_path / 'data').mkdir()
    with pytest.raises(AvdetError, match=r'MAVD layout with train_all\.txt, found an empty'):
        train(write(tmp_path), tmp_path / 'data', tmp_path / 'run')


def test_missing_ready_teacher_is_named_in_the_error(drives, tmp_path):
    text = TINY.replace('teachers:\n', f'teachers:\n  folder: {tmp_path / "ready"}\n', 1)
    with pytest.raises(AvdetError, match=r'teachers\.folder: expected .*ready/rgb/teacher\.pt'):
        train(write(tmp_path, text), drives, tmp_path / 'run')


@pytest.mark.slow
def test_ros2_run_accepts_the_recipe_parameter(drives, tmp_path):
    pytest.importorskip('rclpy')
    command = [
        sys.executable,
        '-m',
        'avdet_ros.cli.train_node',
        '--ros-args',
        '-p',
        f'recipe:={write(tmp_path)}',
        '-p',
        'progress:=false',
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 1
    assert 'expected --data, a folder of drives in the MAVD layout' in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (
            'recipie:=mine.yaml',
            'parameter recipie: expected a known name.* did you mean recipe',
        ),
        ('resume:=maybe', "parameter resume: expected true or false, found 'maybe'"),
        ('data:=3', 'parameter data: expected a text, found 3'),
    ],
)
def test_ros2_run_rejects_invalid_parameters(tmp_path, wrong, message):
    pytest.importorskip('rclpy')
    command = [sys.executable, '-m', 'avdet_ros.cli.train_node', '--ros-args', '-p', wrong]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(message, done.stderr)
    assert 'Traceback' not in done.stderr
