"""A run's folder: its recipe, and which of its stages are done."""

from __future__ import annotations

from collections.abc import Callable
import json
import logging
from pathlib import Path
import shutil
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error, write_json
from avdet_ros.quoting import one_line
from avdet_ros.training.fitting.distributed import rank_zero_first
from avdet_ros.training.recipes.read import as_yaml, read_recipe

_logger = logging.getLogger(__name__)


def begin_run(out: Path, recipe: Any, resume: bool) -> None:
    """Create the run's folder with its recipe, or check that it holds the same recipe.

    Raises:
        AvdetError: the folder has another recipe, or cannot be written.
    """
    recipe_path, text = out / 'recipe.yaml', as_yaml(recipe)
    try:
        if not resume and out.exists() and any(out.iterdir()):
            if not recipe_path.exists():
                raise AvdetError(
                    f'{out} is not the folder of a run: expected recipe.yaml in it, found other '
                    'files, which are not deleted'
                )
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
        if not recipe_path.exists():
            recipe_path.write_text(text, encoding='utf-8')
        previous = recipe_path.read_text(encoding='utf-8')
    except OSError as error:
        raise AvdetError(
            f'cannot write the run folder {out}: {explain_os_error(error)}'
        ) from error
    # Keys with defaults may have been added to recipes since.
    if previous != text and read_recipe(recipe_path) != recipe:
        pairs = zip(previous.splitlines(), text.splitlines(), strict=False)
        found, expected = next((a, b) for a, b in [*pairs, ('', 'another end')] if a != b)
        raise AvdetError(
            f'{out} was started with another recipe: expected "{expected.strip()}", found '
            f'"{found.strip()}"; choose another --out, or --fresh to start over'
        )


def cached_stage(path: Path, make: Callable[[], dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the result of a stage from its file, or compute and store it.

    Args:
        path: the JSON file.
        make: runs the stage; all processes take part.
        name: of the stage.

    Raises:
        AvdetError: the file is damaged or cannot be written.
    """
    if path.exists():
        _logger.info('%s: %s done already', path, name)
        try:
            return json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise AvdetError(
                f'{path}: expected the result of a stage, found {one_line(error)}; delete it '
                'to do the stage again'
            ) from error
    result = make()
    rank_zero_first(lambda: write_json(path, result))
    return result


def cached_stage_rank_zero(
    path: Path, make: Callable[[], dict[str, Any]], name: str
) -> dict[str, Any]:
    """`cached_stage` for a stage that the first process runs while the others wait."""
    rank_zero_first(lambda: cached_stage(path, make, name))
    return json.loads(path.read_text(encoding='utf-8'))
