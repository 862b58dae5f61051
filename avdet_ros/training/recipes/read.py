"""Recipes: YAML files that say how a model is made, checked before anything is computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from avdet_ros.errors import AvdetError
from avdet_ros.fields import fill, value
from avdet_ros.files import read_bounded
from avdet_ros.quoting import brief_repr, did_you_mean
from avdet_ros.training.recipes.parts import (
    MODELS,
    Augmentation,
    DataRecipe,
    FitRecipe,
    LossRecipe,
)
from avdet_ros.training.recipes.student import DistillationRecipe

__all__ = [
    'KINDS', 'MODELS', 'Augmentation', 'ComparisonRecipe', 'DataRecipe', 'DistillationRecipe',
    'FitRecipe', 'LossRecipe', 'StudentRecipe', 'as_yaml', 'read_recipe',
]  # fmt: skip

LARGEST_RECIPE_BYTES = 1 << 20
"""Larger recipes are refused."""


@dataclass(frozen=True)
class StudentRecipe:
    """A student taught with the simulator's boxes.

    Attributes:
        model: see `avdet_ros.training.networks.compact`.
        data: the windows.
        fit: the fitting.
        loss: the loss.
        augmentation: what is changed about the windows.
    """

    model: str = value('steered', choices=MODELS)
    data: DataRecipe = field(default_factory=DataRecipe)
    fit: FitRecipe = field(default_factory=FitRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class ComparisonRecipe:
    """Several students on the same windows, each with several seeds.

    Attributes:
        models: the students.
        seeds: each student is taught once with each.
        student: how; its model and seed are replaced.
    """

    models: tuple[str, ...] = value(MODELS, choices=MODELS)
    seeds: tuple[int, ...] = value((0, 1, 2), 0, 2**31)
    student: StudentRecipe = field(default_factory=StudentRecipe)


KINDS: dict[str, type] = {
    'student': StudentRecipe,
    'comparison': ComparisonRecipe,
    'mm_distillnet': DistillationRecipe,
}
"""What a recipe's first key, ``kind``, can say."""


def read_recipe(path: str | Path) -> Any:
    """Read and check a recipe.

    Args:
        path: a YAML file; ``kind`` is a key of `KINDS` (student, if left out), all other keys are
            the fields of that dataclass; what is left out has its default.

    Returns:
        One of the dataclasses of `KINDS`.

    Raises:
        AvdetError: the file cannot be read, a key is unknown (the message names the nearest known
            one), or a value is not what it may be.
    """
    path = Path(path)
    content = read_bounded(path, LARGEST_RECIPE_BYTES, 'recipe')
    try:
        tree = yaml.safe_load(content.decode())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise AvdetError(f'{path} is not YAML: {" ".join(str(error).split())}') from error
    tree = {} if tree is None else tree
    kind = 'student'
    if isinstance(tree, dict):
        kind = tree.pop('kind', kind)
        if not isinstance(kind, str) or kind not in KINDS:
            raise AvdetError(
                f'{path}: kind: expected one of {", ".join(KINDS)}, found {brief_repr(kind)}'
                + did_you_mean(kind, KINDS)
            )
    return fill(KINDS[kind], tree, str(path))


def as_yaml(recipe: Any) -> str:
    """The text that `read_recipe` makes the same recipe of, every key spelled out."""
    kind = next(name for name, its_type in KINDS.items() if type(recipe) is its_type)
    return yaml.safe_dump({'kind': kind, **_plain(asdict(recipe))}, sort_keys=False)


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _plain(item) for key, item in tree.items()}
    return list(tree) if isinstance(tree, tuple) else tree
