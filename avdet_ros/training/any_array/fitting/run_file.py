"""The files of a run of any-array, by name, and the one way in for all that read one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import one_line
from avdet_ros.training.tensor_files import load_tensors

BEST = 'best.pt'
"""A run's averaged weights of its best epoch."""

LAST = 'last.pt'
"""All that it needs to go on."""

LOG = 'log.csv'
"""A line an epoch."""

RUN_FILE = 'a file of a run of any-array'
"""What `BEST` and `LAST` are, for errors."""


def read_run_file(path: Path, *keys: str, device: torch.device | str = 'cpu') -> dict[str, Any]:
    """What a fitting wrote into `BEST` or `LAST`.

    Args:
        path: the file.
        keys: what must be in it.
        device: where its tensors go.

    Raises:
        AvdetError: it cannot be read, or is something else.
    """
    saved = load_tensors(path, RUN_FILE, device)
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
    return AvdetError(f'{path}: expected {RUN_FILE}, found {one_line(found)}')
