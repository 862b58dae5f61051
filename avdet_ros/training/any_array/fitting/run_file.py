"""The files of a run of any-array, by name, and the one way in for all that read one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from avdet_ros.errors import AvdetError

BEST = 'best.pt'
"""A run's averaged weights of its best epoch."""

LAST = 'last.pt'
"""All that it needs to go on."""

LOG = 'log.csv'
"""A line an epoch."""


def read_run_file(path: Path, *keys: str, device: torch.device | str = 'cpu') -> dict[str, Any]:
    """What a fitting wrote into `BEST` or `LAST`.

    Args:
        path: the file.
        keys: what must be in it.
        device: where its tensors go.

    Raises:
        AvdetError: it cannot be read, or is something else.
    """
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # of zip files, of pickles, of the system: no common base class
        raise no_run_file(path, error) from error
    if not isinstance(saved, dict):
        raise no_run_file(path, type(saved).__name__)
    for key in keys:
        if key not in saved:
            raise no_run_file(path, f'no {key}')
    return saved


def no_run_file(path: Path, found: object) -> AvdetError:
    """The error of a file that is none of a run's.

    Args:
        path: the file.
        found: in its place, or the exception that tells.
    """
    text = ' '.join(str(found).split())
    return AvdetError(f'{path}: expected a file of a run of any-array, found {text:.120}')
