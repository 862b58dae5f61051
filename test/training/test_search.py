from __future__ import annotations

import optuna
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.training.distillation_recipe import DistillationRecipe
from avdet_ros.training.search import SPACE, Range, changed, open_study


def test_values_go_where_their_key_says():
    recipe = changed(
        DistillationRecipe(), {'fit.learning_rate': 0.003, 'transfer.mta': 'as_printed'}
    )
    assert recipe.fit.learning_rate == 0.003
    assert recipe.transfer.mta == 'as_printed'
    assert recipe.teachers == DistillationRecipe().teachers
    with pytest.raises(AvdetError, match=r'fit\.learning_rat.*did you mean learning_rate'):
        changed(DistillationRecipe(), {'fit.learning_rat': 1.0})


def test_every_key_of_the_space_is_one_of_the_recipe():
    study = optuna.create_study()
    trial = study.ask()
    values = {item.key: item.suggest(trial) for item in SPACE}
    changed(DistillationRecipe(), values)
    chosen = Range('transfer.loss', choices=('mta', 'afd')).suggest(study.ask())
    assert chosen in ('mta', 'afd')


def test_machines_share_a_search(tmp_path):
    storage = f'sqlite:///{tmp_path / "search.db"}'
    one = open_study(storage, 'shared', 9)
    assert isinstance(one.pruner, optuna.pruners.HyperbandPruner)
    one.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=2)
    other = open_study(storage, 'shared', 9)
    other.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=2)
    assert [trial.number for trial in open_study(storage, 'shared', 9).trials] == [0, 1, 2, 3]


@pytest.mark.parametrize('storage', ['nonsense', 'sqlite:////nowhere/at/all/search.db'])
def test_a_storage_that_cannot_be_opened_is_named(storage):
    with pytest.raises(AvdetError, match=r'--storage .*expected a database such as sqlite'):
        open_study(storage, 'avdet', 3)
