"""Training of an array model by recipe, from drives with teacher boxes to a model file."""

from __future__ import annotations

import csv
from dataclasses import replace
import json

from helpers.array_windows import write_shard
import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.simulation.array_windows import WindowPlan
from avdet_ros.simulation.window_shards import make_array_windows
from avdet_ros.training.any_array.bearing_first import BearingShape
from avdet_ros.training.any_array.fitting.fit import fit
from avdet_ros.training.any_array.fitting.fit_state import FitPlan
from avdet_ros.training.any_array.fitting.run_file import LOG
from avdet_ros.training.any_array.run import AnyArrayRun
from avdet_ros.training.networks.base import make_student
from avdet_ros.training.recipes.parts import Augmentation, FitRecipe, NetworkRecipe, TeachersRecipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.run import taught
from avdet_ros.training.run.context import open_run
from avdet_ros.training.run.taught import fit_plan
from avdet_ros.training.run.train import run_student

SMALL = BearingShape(width=12, deep=32, steps=4)


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    """The folder of a short run of a small network on windows of true boxes."""
    root = tmp_path_factory.mktemp('start')
    write_shard(root / 'train', 0)
    write_shard(root / 'val', 100_000, 24)
    run = AnyArrayRun(
        root / 'train', root / 'val', root / 'run', FitPlan(steps=3, batch=16), SMALL
    )
    val = run.store(run.val, None)
    val.refresh()
    fit(run.store(run.train, None), val, run.out, run.plan, run.shape)
    return run.out


def recipe_of(start):
    return StudentRecipe(
        labels='teachers',
        student=NetworkRecipe(model='any_array'),
        teachers=TeachersRecipe(modalities=('rgb',), crop=False),
        fit=FitRecipe(epochs=6, batch=16, learning_rate=2e-3, average=0.5, start=str(start)),
        augmentation=Augmentation(mask_bands=0),
    )


@pytest.mark.slow
def test_array_model_is_fine_tuned_on_teacher_labels(drives, start, bright_spots, tmp_path, rig):
    out = tmp_path / 'run'
    model = run_student(
        open_run(recipe_of(start), drives, out, ready_teachers={'rgb': bright_spots})
    )
    with (out / LOG).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert float(rows[-1]['loss']) < float(rows[0]['loss'])
    scores = json.loads((out / 'scores.json').read_text())
    # 32 training, 8 validation and 8 test frames, scored against teachers and truth.
    assert (scores['windows'], scores['test']['windows']) == (32, 8)
    assert scores['test_truth']['windows'] == 8
    assert scores['shape']['width'] == SMALL.width
    card = (out / 'MODEL_CARD.md').read_text()
    assert 'labelled by teachers (rgb); started from run' in card
    detector = Detector(model, rig, providers=['cpu'])
    assert detector.contract.contract_version == 2
    assert detector.front_end.pair_count == 28, 'recorded drives train all microphone pairs'
    with pytest.raises(AvdetError, match=r'expected 64 channels .* capture is given the same mod'):
        Detector(model, rig, FrontEnd(), providers=['cpu'])
    features = np.full((64, 80, 173), -60, np.float32)
    features[8:] = 0
    found = detector.detect(features)
    assert found.range_m.shape == (len(found), 3)
    # The same call again does nothing.
    before = model.stat().st_mtime_ns, len(rows)
    again = run_student(
        open_run(recipe_of(start), drives, out, ready_teachers={'rgb': bright_spots})
    )
    assert again == model
    with (out / LOG).open() as file:
        assert len(list(csv.DictReader(file))) == before[1]


@pytest.mark.slow
def test_array_model_trains_on_teacher_labels_of_simulated_pictures(
    start, bright_spots, tmp_path, rig
):
    # One drive per shard, so that each has its own picture.
    plan = WindowPlan('plain', windows_a_drive=1, drives_a_shard=1, arrays_a_window=4, quick=True)
    for use, count, seeds in (('train', 32, (60_000, 61_000)), ('val', 8, (100_000, 101_000))):
        assert sum(make_array_windows(tmp_path / use, count, seeds, 1, plan, rig)) == count
    recipe = recipe_of(start)
    recipe = replace(recipe, fit=replace(recipe.fit, epochs=1, doubts=True, hold=1.0))
    out = tmp_path / 'run'
    model = run_student(open_run(recipe, tmp_path, out, ready_teachers={'rgb': bright_spots}))
    scores = json.loads((out / 'scores.json').read_text())
    assert (scores['windows'], scores['val_truth']['windows']) == (32, 8)
    assert 'labelled by teachers (rgb)' in (out / 'MODEL_CARD.md').read_text()
    assert Detector(model, rig, providers=['cpu']).front_end.pair_count == 28


def test_fit_plan_is_derived_from_the_recipe():
    recipe = recipe_of('somewhere')
    plan = fit_plan(recipe, 100)
    assert (plan.steps, plan.epoch_windows, plan.start_from) == (36, 100, 'somewhere')
    assert plan.augmentation.mirror == 0.5
    assert plan.augmentation.masked == 0
    assert plan.bfloat16 is None
    halved = replace(recipe, fit=replace(recipe.fit, precision='bf16-mixed', hold=0.5))
    assert fit_plan(halved, 100).bfloat16
    assert fit_plan(halved, 100).hold == 0.5
    few = replace(recipe, augmentation=Augmentation(mirror=False, drop_channel=0.4))
    assert fit_plan(few, 8).steps == 6
    assert fit_plan(few, 8).augmentation.mirror == 0
    assert fit_plan(few, 8).augmentation.missing == 0.4


def test_simulated_cameras_require_ready_teachers(tmp_path):
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / 'windows.json').write_text('{}')
    with pytest.raises(AvdetError, match=r'teachers\.folder: expected ready teachers'):
        run_student(open_run(recipe_of(''), tmp_path, tmp_path / 'run'))


def test_make_student_rejects_the_any_array_model(rig):
    with pytest.raises(AvdetError, match=r'expected a student of one rig.*found any_array'):
        make_student(recipe_of(''), rig, None, (128, 256))


def test_missing_folder_of_simulated_windows_is_created(tmp_path, monkeypatch):
    made = []

    def note(folder, count, seeds, jobs, plan, base):
        made.append((folder.name, count, plan.quick, plan.arrays_a_window))
        yield count

    monkeypatch.setattr(taught, 'make_array_windows', note)
    recipe = StudentRecipe(student=NetworkRecipe(model='any_array'))
    with pytest.raises(AvdetError, match='expected at least 32 windows for a batch, found 0'):
        run_student(open_run(recipe, tmp_path / 'windows', tmp_path / 'run'))
    assert made == [('train', 12000, True, 3), ('val', 1500, False, 1)]
