"""Files that are whole whenever they are there, however a run ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from avdet_ros.errors import AvdetError


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its place and put it there when it is complete.

    Args:
        path: of the file; one that is there stays until the new one is complete. Its folder is
            made, and several processes may write it at once: the last one wins.

    Raises:
        AvdetError: it cannot be written.
    """
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open('wb') as file:
            yield file
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if not isinstance(error, OSError):
            raise
        raise AvdetError(f'cannot write {path}: {error.strerror or error}') from error


def write_json(path: Path, tree: Any) -> None:
    """Write a tree of plain values with `whole_file`.

    Raises:
        AvdetError: it cannot be written.
    """
    with whole_file(path) as file:
        file.write(json.dumps(tree, indent=1).encode())
