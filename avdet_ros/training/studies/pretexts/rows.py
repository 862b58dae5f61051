"""Rows, scales and recipes of the comparison of pretexts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from avdet_ros.training.recipes.parts import (
    Augmentation,
    FitRecipe,
    NetworkRecipe,
    PretextRecipe,
    TeachersRecipe,
    WindowsRecipe,
)
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS

NONE, LONGER = 'none', 'none, longer'

FEW, MORE, ALL = 0.01, 0.1, 1.0
"""Parts of the drives that have labels; the pretext learns from all."""

FROZEN_AT = MORE
"""Share at which the head alone learns."""


@dataclass(frozen=True)
class PretextScale:
    """How much the comparison takes.

    Attributes:
        name: in the command.
        windows: simulated, where no drives are given.
        student: which one.
        epochs: of the students.
        pretext_epochs: of the pretexts; what `LONGER` learns longer.
        batch: windows a step, of both.
        seeds: of each row.
        tasks: the pretexts; () for all.
    """

    name: str
    windows: WindowsRecipe
    student: str = 'image_grid'
    epochs: int = 4
    pretext_epochs: int = 4
    batch: int = 32
    seeds: int = 3
    tasks: tuple[str, ...] = ()


SCALES = {
    'smoke': PretextScale(
        'smoke', WindowsRecipe(150, 150, 150), 'image_grid', 1, 1, 50, 1, ('masked_channels',)
    ),
    'small': PretextScale('small', WindowsRecipe(900, 300, 600)),
    'full': PretextScale('full', WindowsRecipe(12_000, 1500, 1500), 'steered', 20, 10, 128),
}


@dataclass(frozen=True)
class Run:
    """One student of the comparison.

    Attributes:
        row: `NONE`, `LONGER` or a pretext.
        share: of the drives whose labels it learns from.
        seed: of everything.
        freeze: the head alone learns.
    """

    row: str
    share: float
    seed: int
    freeze: bool = False

    @property
    def folder(self) -> str:
        """Its name among the runs."""
        name = self.row.replace(', ', '_')
        return f'{name}_{self.share:g}_{self.seed}' + ('_frozen' if self.freeze else '')


def tasks_of(scale: PretextScale) -> tuple[str, ...]:
    """The pretexts that a scale compares."""
    return scale.tasks or PRETEXTS.names()


def recipe_of(run: Run, scale: PretextScale, labels: str) -> StudentRecipe:
    """The recipe of a student; the same share and seed are the same drives in every row.

    Args:
        run: which.
        scale: how much.
        labels: see `StudentRecipe`.
    """
    task = run.row if run.row not in (NONE, LONGER) else NONE
    longer = scale.pretext_epochs if run.row == LONGER else 0
    return StudentRecipe(
        labels=labels,
        windows=scale.windows,
        student=NetworkRecipe(scale.student),
        teachers=TeachersRecipe(labels='labels' if labels == 'teachers' else ''),
        pretext=PretextRecipe(
            task,
            scale.pretext_epochs if task != NONE else 0,
            scale.batch,
            freeze=run.freeze,
        ),
        fit=FitRecipe(
            epochs=scale.epochs + longer,
            batch=scale.batch,
            patience=scale.epochs + longer,
            seed=run.seed,
            average=0.98,
            drives=run.share,
        ),
        augmentation=replace(Augmentation(), mask_bands=8),
    )


def first_runs(row: str, scale: PretextScale) -> list[Run]:
    """What every row runs before the stop rule is asked."""
    runs = [Run(row, share, seed) for share in (FEW, MORE) for seed in range(scale.seeds)]
    if row != LONGER:
        runs += [Run(row, FROZEN_AT, seed, freeze=True) for seed in range(scale.seeds)]
    return runs


def last_runs(row: str, scale: PretextScale) -> list[Run]:
    """What is run of a row that the stop rule lets go on."""
    return [Run(row, ALL, seed) for seed in range(scale.seeds)]
