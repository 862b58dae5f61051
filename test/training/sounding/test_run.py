"""Training of a selector on labels and filtering of labels with it, through the commands."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avdet_ros.cli import main as cli
from avdet_ros.dataset import layout
from avdet_ros.dataset.attention_maps import read_attention
from avdet_ros.dataset.label_filter import filter_path, read_filtered
from avdet_ros.dataset.labels import DriveLabels, write_labels
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.training.run.train import train
from avdet_ros.training.sounding.learning import SelectorPlan
from avdet_ros.training.sounding.run import filter_labels, make_selector
from avdet_ros.training.sounding.selector_file import read_selector
from avdet_ros.training.teachers.label_folder import ABOUT

RECIPE = """
kind: student
labels: teachers
label_filter: sounding
teachers: {labels: labels, modalities: []}
transfer: {loss: none}
student: {model: image_grid}
fit: {epochs: 1, batch: 8, average: 0.5}
"""

QUICK = SelectorPlan(('sound',), steps=2, batch=8, rounds=1)


@pytest.fixture
def labelled(drives, tmp_path):
    """The shared drives with two labels per frame: the bright block and a false box."""
    root = tmp_path / 'drives'
    root.mkdir()
    for path in drives.iterdir():
        if path.name != 'features':
            (root / path.name).symlink_to(path)
    members = by_drive(read_split(root, 0.0).student)
    for drive, frames in members.items():
        truth = layout.read_truth(root, drive)
        boxes = [[truth[one.stamp]['boxes_px'][0], [20, 20, 60, 50]] for one in frames]
        many = len(frames)
        table = DriveLabels(
            ids=np.array([one.stamp for one in frames]),
            teachers=('rgb',),
            boxes_px=np.array(boxes, np.float32).reshape(-1, 4),
            scores=np.tile(np.float32([0.9, 0.8]), many),
            frame=np.repeat(np.arange(many, dtype=np.int32), 2),
            teacher=np.zeros(2 * many, np.int8),
            attention=np.zeros((many, 1, 0), np.float16),
            attention_sizes=np.zeros((0, 2), np.int32),
            embedding=np.zeros((many, 1, 0, 0), np.float16),
            features=np.zeros((many, 1, 0, 0, 0), np.float16),
        )
        write_labels(root / 'labels' / f'{drive}.npz', table)
    about = {'teachers': {'rgb': 'blocks'}, 'image_size': [128, 256], 'crop': False, 'score': 0.3}
    (root / 'labels' / ABOUT).write_text(json.dumps(about))
    return root, members


@pytest.mark.slow
def test_selector_is_trained_on_labels_and_filters_them(labelled, tmp_path):
    root, members = labelled
    path = make_selector(root, QUICK, tmp_path / 'selector')
    assert read_selector(path).teachers == {'rgb': 'blocks'}
    some = dict(list(members.items())[:2])
    counts = filter_labels(root, some, 'sounding', selector=path)
    frames = sum(map(len, some.values()))
    assert counts['kept'] + counts['open'] + counts['road'] == 2 * frames
    drive = next(iter(some))
    judged = read_filtered(root / 'labels', 'sounding', drive)
    assert len(judged) == len(some[drive])
    assert all(np.isfinite(item.score).all() for item in judged.values())
    about = json.loads((root / 'labels' / ABOUT).read_text())
    (root / 'labels' / ABOUT).write_text(json.dumps({**about, 'teachers': {'rgb': 'others'}}))
    with pytest.raises(AvdetError, match='expected a selector for boxes of rgb others, found'):
        filter_labels(root, some, 'sounding', selector=path)


def test_truth_filters_keep_true_boxes_and_open_false_ones(labelled):
    root, members = labelled
    frames = sum(map(len, members.values()))
    for name in ('moving', 'oracle'):
        counts = filter_labels(root, members, name)
        assert counts == {'kept': frames, 'open': frames, 'road': 0, 'hidden': 0}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            ['selector', '--evidence', 'smell'],
            'some of sound, sight, motion, thermal, found smell',
        ),
        (
            ['selector', '--no-unlabelled'],
            'expected --labelled, frames with ground truth, found none',
        ),
        (['selector', '--attention', 'all'], 'one of none, map, literal, found all'),
        (['label'], 'expected one of --teachers and --pretrained, found neither'),
        (['label', '--filter', 'sounding'], '--selector: expected a selector for --filter sound'),
        (
            ['label', '--filter', 'louder'],
            'expected one of moving, sounding, oracle, found louder',
        ),
    ],
)
def test_invalid_options_are_reported(labelled, arguments, message, monkeypatch, capsys):
    root, _ = labelled
    command, *options = arguments
    monkeypatch.setattr('sys.argv', ['avdet', 'train', command, str(root), *options])
    with pytest.raises(SystemExit):
        cli.main()
    assert message in ' '.join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_commands_train_a_selector_and_filter_labels(labelled, tmp_path, monkeypatch, capsys):
    root, members = labelled
    out = str(tmp_path / 'selector')
    options = ['--steps', '1', '--labelled', '3', '--no-unlabelled', '--out', out]
    options += ['--attention', 'map']
    for words in (
        ['selector', str(root), *options],
        ['label', str(root), '--filter', 'sounding', '--selector', out, '--split', 'val'],
    ):
        monkeypatch.setattr('sys.argv', ['avdet', 'train', *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code in (None, 0)
    assert 'filter_sounding: ' in capsys.readouterr().out
    for drive, frames in members.items():
        heat = read_attention(root / 'labels', drive)
        assert heat.keys() == {one.stamp for one in frames}
        assert all(one.sum() == pytest.approx(1, abs=0.01) for one in heat.values())


def test_single_drive_warns_and_missing_boxes_are_rejected(labelled, tmp_path, log_lines):
    root, _ = labelled
    split = read_split(root, 0.0)
    lone = [one for one in split.train if one.drive == split.train[0].drive]
    layout.split_path(root, 'train').unlink()
    layout.write_ids(layout.split_path(root, 'train'), lone)
    make_selector(root, QUICK, tmp_path / 'selector')
    assert any('one training drive' in line for line in log_lines)
    path = root / 'labels' / f'{lone[0].drive}.npz'
    with np.load(path) as file:
        arrays = dict(file)
    for name in ('boxes_px', 'scores', 'frame', 'teacher'):
        arrays[name] = arrays[name][:0]
    np.savez(path, **arrays)
    with pytest.raises(AvdetError, match='expected boxes in training frames to learn from'):
        make_selector(root, QUICK, tmp_path / 'selector')


@pytest.mark.slow
def test_student_trains_on_filtered_labels(labelled, tmp_path):
    root, members = labelled
    selector = make_selector(root, QUICK, tmp_path / 'selector')
    filter_labels(root, members, 'sounding', selector=selector)
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text(RECIPE)
    train(recipe, root, tmp_path / 'out')
    report = (tmp_path / 'out' / 'MODEL_CARD.md').read_text()
    assert 'label_filter: sounding' in report
    assert (tmp_path / 'out' / 'student.onnx').exists()
    drive = next(iter(members))
    path = filter_path(root / 'labels', 'sounding', drive)
    path.unlink()
    with pytest.raises(AvdetError, match='avdet train label --filter sounding --selector RUN'):
        train(recipe, root, tmp_path / 'other')
