"""Search a recipe's parameters with Optuna and Hyperband; machines share a search by a storage.

All processes started with the same storage and name take trials from the same search:

    avdet train search RECIPE --data DRIVES --out runs/search --storage sqlite:///search.db

Hyperband (L. Li et al., 2018) stops trials whose validation score lags behind. Teachers, labels
and features are made once in ``--out`` and shared by its trials. Scores of several machines are
only comparable if all use the same teachers: set ``teachers.folder`` to ready ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
import optuna

from avdet_ros.errors import AvdetError
from avdet_ros.fields import fill
from avdet_ros.files import write_atomically, write_json
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import one_line
from avdet_ros.training.fitting.fit import CHECKPOINTS
from avdet_ros.training.fitting.run_folder import begin_run
from avdet_ros.training.recipes.read import as_yaml, plain_tree
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.run.context import RunContext, open_run
from avdet_ros.training.run.stages import fresh_student, load_windows, make_windows
from avdet_ros.training.run.task import fit_student
from avdet_ros.training.tensor_files import load_tensors

_logger = logging.getLogger(__name__)

WATCHED = 'val/score'


@dataclass(frozen=True)
class Range:
    """Values that a key of the recipe may take.

    Attributes:
        key: key with dots, such as ``fit.learning_rate``.
        low: smallest value.
        high: largest value.
        log: sample on a logarithmic scale.
        choices: categorical values instead of a range.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()

    def suggest(self, trial: optuna.Trial) -> Any:
        """Suggest a value for a trial."""
        if self.choices:
            return trial.suggest_categorical(self.key, self.choices)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)


SPACE = (
    Range('fit.learning_rate', 1e-4, 1e-2, log=True),
    Range('fit.weight_decay', 1e-4, 1e-1, log=True),
    Range('transfer.weight', 1e-3, 1.0, log=True),
    Range('transfer.temperature', 1.0, 12.0),
    Range(
        'transfer.mta', choices=('corrected', 'as_printed', 'as_released', 'as_released_product')
    ),
    Range('augmentation.mix', 0.0, 0.5),
)
"""Default search space."""


def search(
    recipe: StudentRecipe,
    root: Path,
    out: Path,
    trials: int,
    storage: str | None = None,
    name: str = 'avdet',
    space: tuple[Range, ...] = SPACE,
    rig_path: Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Run trials of a new or existing search.

    Args:
        recipe: base recipe of the trials; its epochs are the maximum for one trial.
        root: drives in the MAVD layout.
        out: receives teachers, labels, a folder per trial, and ``best.yaml``.
        trials: number of trials that this process runs.
        storage: URL of a database that processes share; None keeps the search in ``out``.
        name: name of the search in the storage.
        space: parameters to vary.
        rig_path: the rig's file; None takes the drives' own.
        progress: displays the progress.

    Returns:
        ``best.yaml``, a recipe for `avdet train student`.

    Raises:
        AvdetError: the storage cannot be opened, or no trial was completed.
    """
    run = open_run(recipe, root, out, True, rig_path, progress)
    recipe = run.recipe
    make_windows(run)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = open_study(storage or f'sqlite:///{out / "search.db"}', name, recipe.fit.epochs)

    def one(trial: optuna.Trial) -> float:
        values = {item.key: item.suggest(trial) for item in space}
        _logger.info('trial %d: %s', trial.number, _line(values))
        score = run_trial(run, changed(recipe, values), trial)
        _logger.info('trial %d: %s %.4f', trial.number, WATCHED, score)
        return score

    study.optimize(one, n_trials=trials, catch=(AvdetError,))
    states = [trial.state.name for trial in study.trials]
    if 'COMPLETE' not in states:
        raise AvdetError(f'{out}: expected a trial that came to an end, found none of {trials}')
    best = out / 'best.yaml'
    head = f'# The best of {len(study.trials)} trials: {WATCHED} {study.best_value:.4f}\n'
    with write_atomically(best) as file:
        file.write((head + as_yaml(changed(recipe, study.best_params))).encode())
    _logger.info(
        '%d trials, %d given up early, %d failed; best %s %.4f: %s',
        len(states),
        states.count('PRUNED'),
        states.count('FAIL'),
        WATCHED,
        study.best_value,
        _line(study.best_params),
    )
    return best


def open_study(storage: str, name: str, epochs: int) -> optuna.Study:
    """Open or create a search.

    Raises:
        AvdetError: the storage's URL is wrong, or the database does not answer.
    """
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs)
    try:
        return optuna.create_study(
            storage=storage,
            study_name=name,
            direction='maximize',
            pruner=pruner,
            load_if_exists=True,
        )
    except Exception as error:  # whatever the database's driver raises
        raise AvdetError(
            f'--storage {storage}: expected a database such as sqlite:///search.db, found '
            f'{one_line(error)}'
        ) from error


def run_trial(run: RunContext, recipe: StudentRecipe, trial: optuna.Trial) -> float:
    """Fit once and return the best validation score."""
    folder = run.out / f'trial_{trial.number:04d}'
    own = replace(run, recipe=recipe, out=folder)
    begin_run(folder, recipe, resume=False)
    student, mirror = fresh_student(own)
    train, val = (load_windows(own, use) for use in ('train', 'val'))
    watch = Prune(trial)
    fit_student(student, recipe, train, val, folder, mirror, run.progress, [watch])
    write_json(folder / 'values.json', trial.params)
    best = load_tensors(folder / CHECKPOINTS / 'best.ckpt', 'a checkpoint')
    states = [state for state in best['callbacks'].values() if state.get('monitor') == WATCHED]
    return max(float(state['best_model_score']) for state in states if 'best_model_score' in state)


class Prune(Callback):
    """Report every epoch to Optuna, and end a trial that Hyperband stops."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_validation_end(self, trainer: Trainer, task: LightningModule) -> None:
        """Report the score."""
        self.trial.report(float(trainer.callback_metrics[WATCHED]), trainer.current_epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned(f'epoch {trainer.current_epoch}')


def changed(recipe: StudentRecipe, values: dict[str, Any]) -> StudentRecipe:
    """Return the recipe with new values for some keys.

    Raises:
        AvdetError: a key is unknown or a value is invalid.
    """
    tree = plain_tree(asdict(recipe))
    for key, value in values.items():
        *parts, last = key.split('.')
        place = tree
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return fill(StudentRecipe, tree, 'search')


def _line(values: dict[str, Any]) -> str:
    return ', '.join(
        f'{key} {value:.3g}' if isinstance(value, float) else f'{key} {value}'
        for key, value in values.items()
    )
