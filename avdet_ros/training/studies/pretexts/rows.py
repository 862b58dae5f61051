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

FIRST = ((FEW, False), (MORE, False), (FROZEN_AT, True))
"""Shares, and whether the head alone learns, in the order in which all rows run."""

LIKELIEST = ('spatial_alignment', 'masked_channels', 'counting', 'swapped')
"""Pretexts whose task is direction, and the paper's own: they run before the others."""


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
        'smoke',
        WindowsRecipe(60, 30, 30),
        epochs=1,
        pretext_epochs=1,
        batch=20,
        seeds=1,
        tasks=('masked_channels', 'synchronisation', 'instance'),
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
    """The pretexts that a scale compares, the likeliest to help first."""
    known = PRETEXTS.names()
    hopeful = [name for name in LIKELIEST if name in known]
    return scale.tasks or (*hopeful, *(name for name in known if name not in hopeful))


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


def runs_of(row: str, share: float, scale: PretextScale, freeze: bool = False) -> list[Run]:
    """Every seed of a row with labels of one share of the drives.

    Args:
        row: which.
        share: of the drives.
        scale: how much.
        freeze: the head alone learns; *none, longer* has no such runs.
    """
    if freeze and row == LONGER:
        return []
    return [Run(row, share, seed, freeze) for seed in range(scale.seeds)]
