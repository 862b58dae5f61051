"""Read recipes, YAML files that define how a model is trained, and check them first."""

from __future__ import annotations

from dataclasses import asdict
import logging
from pathlib import Path
from typing import Any

import yaml

from avdet_ros.errors import AvdetError
from avdet_ros.fields import fill
from avdet_ros.files import read_bounded
from avdet_ros.quoting import brief_repr, did_you_mean, one_line
from avdet_ros.training.recipes.old_keys import OLD_KIND, renew_comparison, renew_student
from avdet_ros.training.recipes.student import ComparisonRecipe, StudentRecipe

_logger = logging.getLogger(__name__)

LARGEST_RECIPE_BYTES = 1 << 20
"""Larger recipes are refused."""

KINDS: dict[str, type] = {'student': StudentRecipe, 'comparison': ComparisonRecipe}
"""Allowed values of a recipe's first key, ``kind``, in addition to a kind's old name."""


def read_recipe(path: str | Path) -> Any:
    """Read and check a recipe.

    Args:
        path: a YAML file; ``kind`` is a key of `KINDS` (student, if left out), all other keys are
            the fields of that dataclass; a key left out has its default. Renamed keys are also
            read under their old names, and logged.

    Returns:
        One of the dataclasses of `KINDS`.

    Raises:
        AvdetError: the file cannot be read, a key is unknown (the message names the nearest known
            one), or a value is not allowed.
    """
    path = Path(path)
    content = read_bounded(path, LARGEST_RECIPE_BYTES, 'recipe')
    try:
        tree = yaml.safe_load(content.decode())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise AvdetError(f'{path} is not YAML: {one_line(error, 400)}') from error
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        return fill(StudentRecipe, tree, str(path))
    kind = tree.get('kind', 'student')
    if not isinstance(kind, str) or kind not in (*KINDS, OLD_KIND):
        raise AvdetError(
            f'{path}: kind: expected one of {", ".join(KINDS)}, found {brief_repr(kind)}'
            + did_you_mean(kind, KINDS)
        )
    if kind == 'comparison':
        tree = {key: item for key, item in tree.items() if key != 'kind'}
        return fill(
            ComparisonRecipe, renew_comparison(tree, str(path), _logger.warning), str(path)
        )
    return fill(StudentRecipe, renew_student(tree, str(path), _logger.warning), str(path))


def as_yaml(recipe: Any) -> str:
    """Return the text that `read_recipe` reads as the same recipe, every key spelled out."""
    kind = next(name for name, its_type in KINDS.items() if type(recipe) is its_type)
    return yaml.safe_dump({'kind': kind, **plain_tree(asdict(recipe))}, sort_keys=False)


def plain_tree(tree: Any) -> Any:
    """Replace the tuples in a tree of dictionaries and tuples by lists, as YAML has them."""
    if isinstance(tree, dict):
        return {key: plain_tree(item) for key, item in tree.items()}
    return list(tree) if isinstance(tree, tuple) else tree
