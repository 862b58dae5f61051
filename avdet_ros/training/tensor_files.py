"""Files of tensors, read so that nothing in them is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.quoting import one_line


def load_tensors(path: Path, expected: str, device: torch.device | str = 'cpu') -> dict[str, Any]:
    """What `torch.save` wrote: tensors and plain values by name.

    Args:
        path: the file.
        expected: what it is to be, for the error: ``a checkpoint``.
        device: where its tensors go.

    Raises:
        AvdetError: it cannot be read, or is something else.
    """
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        raise AvdetError(f'cannot read {path}: {explain_os_error(error)}') from error
    except Exception as error:  # of zip files and of pickles: no common base class
        raise AvdetError(f'{path}: expected {expected}, found {one_line(error)}') from error
    if not isinstance(saved, dict):
        raise AvdetError(f'{path}: expected {expected}, found {type(saved).__name__}')
    return saved
