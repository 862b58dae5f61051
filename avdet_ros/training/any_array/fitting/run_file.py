"""Names of the files of an any-array run, and the one function that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import one_line
from avdet_ros.training.tensor_files import load_tensors

BEST = 'best.pt'
"""Averaged weights of a run's best epoch."""

LAST = 'last.pt'
"""All that a run needs to resume."""

LOG = 'log.csv'
"""One line per epoch."""

RUN_FILE = 'a file of a run of any-array'
"""Description of `BEST` and `LAST` in error messages."""


def read_run_file(path: Path, *keys: str, device: torch.device | str = 'cpu') -> dict[str, Any]:
    """Read what a run wrote into `BEST` or `LAST`.

    Args:
        path: the file.
        keys: required entries.
        device: where its tensors go.

    Raises:
        AvdetError: the file cannot be read, or is something else.
    """
    saved = load_tensors(path, RUN_FILE, device)
    for key in keys:
        if key not in saved:
            raise no_run_file(path, f'no {key}')
    return saved


def no_run_file(path: Path, found: object) -> AvdetError:
    """Return the error for a file that is not one of a run's.

    Args:
        path: the file.
        found: what it is instead, or the exception that reports it.
    """
    return AvdetError(f'{path}: expected {RUN_FILE}, found {one_line(found)}')
