"""Write files completely or not at all, read them up to a size limit, and map arrays in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import errno
import json
import math
import os
from pathlib import Path
import stat
from typing import Any, BinaryIO
import zipfile

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import one_line


def explain_os_error(error: OSError) -> str:
    """Return why the system refused to read or write, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return 'the disk is full'
    return error.strerror or one_line(error)


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name and rename it when it is complete.

    Args:
        path: path of the file. An existing file stays until the new one is complete. The folder
            is created. Several processes may write the file at once: the last one wins.

    Raises:
        AvdetError: the file cannot be written.
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
        raise AvdetError(f'cannot write {path}: {explain_os_error(error)}') from error


def write_json(path: Path, tree: Any) -> None:
    """Write a tree of plain values or NumPy numbers with `write_atomically`; NaN becomes null.

    Raises:
        AvdetError: the file cannot be written.
    """
    with write_atomically(path) as file:
        file.write(json.dumps(jsonable(tree), indent=1).encode())


def jsonable(value: Any) -> Any:
    """Convert numbers, lists and mappings for JSON; NaN becomes null."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_bounded(path: Path, largest_bytes: int, what: str) -> bytes:
    """Read a regular file; pipes and devices, which may never end, are not even opened.

    Args:
        path: the file.
        largest_bytes: maximum size, a whole number of MiB; a larger file is refused.
        what: the kind of file, for errors, e.g. ``rig file``.

    Raises:
        AvdetError: it is not a regular file, cannot be read, or is too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise AvdetError(f'{path}: expected a {what}, found something that is not a file')
        with path.open('rb') as file:
            content = file.read(largest_bytes + 1)
    except OSError as error:
        raise AvdetError(f'cannot read the {what} {path}: {explain_os_error(error)}') from error
    if len(content) > largest_bytes:
        raise AvdetError(
            f'{path}: expected a {what} of at most {largest_bytes >> 20} MiB, '
            f'found {max(status.st_size, len(content))} bytes'
        )
    return content


def make_private_folder(path: Path) -> None:
    """Make a folder, or check that only this user can write to an existing one.

    The folder is for files that another program will load and run: whoever can write there decides
    what runs.

    Args:
        path: path of the folder.

    Raises:
        AvdetError: the folder cannot be made or written, or others can write to it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise AvdetError(f'cannot make the folder {path}: {explain_os_error(error)}') from error
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid not in (0, os.geteuid()):
        raise AvdetError(
            f'{path}: expected a folder that only this user may write to, found mode '
            f'{stat.S_IMODE(status.st_mode):o} of user {status.st_uid}'
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise AvdetError(f'{path}: expected a folder that this user may write to, found another')


def map_member(path: Path, name: str) -> np.ndarray:
    """Map one array of an uncompressed .npz file into memory, read-only.

    NumPy can map .npy files only. Inside an uncompressed archive, the same bytes follow the
    member's local header (30 bytes, then name and extra field, whose lengths are at bytes 26 and
    28).

    Raises:
        ValueError: the member is compressed or not an array.
        KeyError: there is no such member.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f'{name}.npy')
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f'{name} is compressed')
    with path.open('rb') as file:
        file.seek(member.header_offset + 26)
        lengths = np.frombuffer(file.read(4), '<u2')
        file.seek(member.header_offset + 30 + int(lengths.sum()))
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read_header(file)
        if fortran or dtype.hasobject:
            raise ValueError(f'{name} is not a plain array')
        if 0 in shape:  # there is nothing to map
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, 'r', file.tell(), shape)
