"""Reading a file of which nothing is known yet: never for ever, and never more than it may be."""

from __future__ import annotations

from pathlib import Path
import stat

from avdet_ros.errors import AvdetError


def read_bounded(path: Path, largest_bytes: int, what: str) -> bytes:
    """A regular file's bytes; pipes and devices, which may never end, are not even opened.

    Args:
        path: the file.
        largest_bytes: a larger one is refused, a whole number of MiB.
        what: the kind of file, for errors, e.g. ``rig file``.

    Raises:
        AvdetError: it is no file, cannot be read, or is too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise AvdetError(f'{path}: expected a {what}, found something that is not a file')
        with path.open('rb') as file:
            content = file.read(largest_bytes + 1)
    except OSError as error:
        raise AvdetError(f'cannot read the {what} {path}: {error.strerror}') from error
    if len(content) > largest_bytes:
        raise AvdetError(
            f'{path}: expected a {what} of at most {largest_bytes >> 20} MiB, '
            f'found {max(status.st_size, len(content))} bytes'
        )
    return content
