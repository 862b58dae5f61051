from __future__ import annotations

import json

import optuna
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.training.recipes.read import read_recipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.run.context import open_run
from avdet_ros.training.studies.search import SPACE, Range, changed, open_study, run_trial, search


def test_values_are_set_by_key_and_unknown_keys_are_rejected():
    recipe = changed(StudentRecipe(), {'fit.learning_rate': 0.003, 'transfer.mta': 'as_printed'})
    assert recipe.fit.learning_rate == 0.003
    assert recipe.transfer.mta == 'as_printed'
    assert recipe.teachers == StudentRecipe().teachers
    with pytest.raises(AvdetError, match=r'fit\.learning_rat.*did you mean learning_rate'):
        changed(StudentRecipe(), {'fit.learning_rat': 1.0})


def test_every_key_of_the_search_space_exists_in_the_recipe():
    study = optuna.create_study()
    trial = study.ask()
    values = {item.key: item.suggest(trial) for item in SPACE}
    changed(StudentRecipe(), values)
    chosen = Range('transfer.loss', choices=('mta', 'afd')).suggest(study.ask())
    assert chosen in ('mta', 'afd')


@pytest.mark.slow
def test_studies_share_trials_through_their_storage(tmp_path):
    storage = f'sqlite:///{tmp_path / "search.db"}'
    one = open_study(storage, 'shared', 9)
    assert isinstance(one.pruner, optuna.pruners.HyperbandPruner)
    one.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=2)
    other = open_study(storage, 'shared', 9)
    other.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=2)
    assert [trial.number for trial in open_study(storage, 'shared', 9).trials] == [0, 1, 2, 3]


@pytest.mark.slow
def test_search_runs_adds_and_prunes_trials(drives, tmp_path, log_lines):
    recipe = changed(
        StudentRecipe(),
        {
            'labels': 'teachers',
            'teachers.config_name': 'tf_efficientdet_lite0',
            'teachers.modalities': ['rgb'],
            'teachers.height': 128,
            'teachers.width': 256,
            'teachers.crop': False,
            'teachers.epochs': 1,
            'transfer.loss': 'mta',
            'fit.epochs': 1,
            'fit.batch': 8,
        },
    )
    space = (Range('fit.learning_rate', 1e-4, 1e-2, log=True),)
    for _ in range(2):
        best = search(recipe, drives, tmp_path, 1, space=space)
    assert '2 trials, 0 given up early, 0 failed' in log_lines[-1]
    values = [json.loads(path.read_text()) for path in tmp_path.glob('trial_*/values.json')]
    assert len(values) == 2
    assert read_recipe(best).fit.learning_rate in [each['fit.learning_rate'] for each in values]

    run = open_run(recipe, drives, tmp_path)
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(lower=2.0))
    with pytest.raises(optuna.TrialPruned, match='epoch 0'):
        run_trial(run, recipe, study.ask())


@pytest.mark.parametrize('storage', ['nonsense', 'sqlite:////nowhere/at/all/search.db'])
def test_storage_that_cannot_be_opened_is_rejected(storage):
    with pytest.raises(AvdetError, match=r'--storage .*expected a database such as sqlite'):
        open_study(storage, 'avdet', 3)
