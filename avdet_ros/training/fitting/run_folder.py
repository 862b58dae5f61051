"""The folder of a run: which recipe it is of, and which of its stages are done."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import shutil
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error, write_json
from avdet_ros.training.fitting.commit import git_commit
from avdet_ros.training.fitting.distributed import first_only
from avdet_ros.training.recipes.read import as_yaml, read_recipe

__all__ = ['begin_run', 'git_commit', 'once', 'once_alone']


def begin_run(out: Path, recipe: Any, resume: bool) -> None:
    """Make the run's folder and note the recipe, or see that it is the one noted there.

    Raises:
        AvdetError: the folder is of another recipe, or cannot be written.
    """
    noted, text = out / 'recipe.yaml', as_yaml(recipe)
    try:
        if not resume and out.exists() and any(out.iterdir()):
            if not noted.exists():
                raise AvdetError(
                    f'{out} is not the folder of a run: expected recipe.yaml in it, found other '
                    'files, which are not deleted'
                )
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
        if not noted.exists():
            noted.write_text(text, encoding='utf-8')
        before = noted.read_text(encoding='utf-8')
    except OSError as error:
        raise AvdetError(
            f'cannot write the run folder {out}: {explain_os_error(error)}'
        ) from error
    # Keys may have come since, with defaults.
    if before != text and read_recipe(noted) != recipe:
        pairs = zip(before.splitlines(), text.splitlines(), strict=False)
        found, expected = next((a, b) for a, b in [*pairs, ('', 'another end')] if a != b)
        raise AvdetError(
            f'{out} was begun with another recipe: expected "{expected.strip()}", found '
            f'"{found.strip()}"; choose another --out, or --fresh to begin anew'
        )


def once(
    path: Path, make: Callable[[], dict[str, Any]], say: Callable[[str], None], name: str
) -> dict[str, Any]:
    """The result of a stage: from its file, or made and put there.

    Args:
        path: the JSON file.
        make: does the stage; all processes take part.
        say: takes a line for people.
        name: of the stage.

    Raises:
        AvdetError: the file is damaged or cannot be written.
    """
    if path.exists():
        say(f'{path}: {name} done already')
        try:
            return json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise AvdetError(
                f'{path}: expected the result of a stage, found {error!s:.80}; delete it to do '
                'the stage again'
            ) from error
    result = make()
    first_only(lambda: write_json(path, result))
    return result


def once_alone(
    path: Path, make: Callable[[], dict[str, Any]], say: Callable[[str], None], name: str
) -> dict[str, Any]:
    """`once` for a stage that the first process does while the others wait."""
    first_only(lambda: once(path, make, say, name))
    return json.loads(path.read_text(encoding='utf-8'))
