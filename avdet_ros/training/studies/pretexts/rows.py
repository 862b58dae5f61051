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
"""Shares of the drives that have labels; the pretext learns from all drives."""

FROZEN_AT = MORE
"""Share of labelled drives in the runs that train the head alone."""

FIRST = ((FEW, False), (MORE, False), (FROZEN_AT, True))
"""Shares, and whether the head alone is trained, in the order in which all rows run."""

LIKELIEST = ('spatial_alignment', 'masked_channels', 'counting', 'swapped')
"""Pretexts whose task involves directions, and the paper's own: they run before the others."""


@dataclass(frozen=True)
class PretextScale:
    """Size of the comparison.

    Attributes:
        name: its name in the command.
        windows: simulated windows if no drives are given.
        student: model of the student.
        epochs: epochs of the students.
        pretext_epochs: epochs of the pretexts, and extra epochs of `LONGER`.
        batch: windows per step, for pretexts and students.
        seeds: seeds of each row.
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
        share: share of the drives whose labels it learns from.
        seed: seed of everything random.
        freeze: train the head alone.
    """

    row: str
    share: float
    seed: int
    freeze: bool = False

    @property
    def folder(self) -> str:
        """Name of its folder among the runs."""
        name = self.row.replace(', ', '_')
        return f'{name}_{self.share:g}_{self.seed}' + ('_frozen' if self.freeze else '')


def tasks_of(scale: PretextScale) -> tuple[str, ...]:
    """Return the pretexts that a scale compares, the most promising ones first."""
    known = PRETEXTS.names()
    promising = [name for name in LIKELIEST if name in known]
    return scale.tasks or (*promising, *(name for name in known if name not in promising))


def recipe_of(run: Run, scale: PretextScale, labels: str) -> StudentRecipe:
    """Build a student's recipe; equal share and seed give the same drives in every row.

    Args:
        run: the run.
        scale: size of the comparison.
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
    """List the runs of a row with labels of one share of the drives, one per seed.

    Args:
        row: name of the row.
        share: share of the drives.
        scale: size of the comparison.
        freeze: train the head alone; *none, longer* has no such runs.
    """
    if freeze and row == LONGER:
        return []
    return [Run(row, share, seed, freeze) for seed in range(scale.seeds)]
