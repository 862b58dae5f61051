"""Folder of a set of windows: settings, shards, and a lock for one writing run at a time.

``windows.json`` holds the settings, each ``windows_<first seed>.npz`` the windows of several
drives. A shard appears under its name only when complete, so that a reader can follow a growing
folder and an interrupted run can be resumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
import errno
import json
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.simulation.one_run import exclusive_lock

MANIFEST = 'windows.json'


def shard_path(folder: Path, first_seed: int) -> Path:
    """Return the path of the shard whose drives start at a seed."""
    return folder / f'windows_{first_seed:07d}.npz'


def write_rows(folder: Path, first_seed: int, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write a shard, completely or not at all.

    Args:
        folder: folder of the set.
        first_seed: lowest seed of its drives.
        rows: arrays of each window by name.

    Returns:
        Number of windows.

    Raises:
        OSError: the shard cannot be written; no partial file remains.
    """
    path = shard_path(folder, first_seed)
    partial = path.with_suffix('.partial')
    try:
        with partial.open('wb') as file:
            arrays: dict[str, Any] = {n: np.stack([row[n] for row in rows]) for n in rows[0]}
            np.savez(file, **arrays)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return len(rows)


@contextmanager
def missing_shards(
    folder: Path, firsts: Sequence[int], dropping: bool = False
) -> Iterator[list[int]]:
    """Lock a folder and yield the shards that are still missing.

    Args:
        folder: folder of the set.
        firsts: first seeds of all shards of the set, ascending.
        dropping: whether old shards are deleted (`drop_oldest`), so that those before the oldest
            existing one count as made.

    Yields:
        First seeds of the missing shards.

    Raises:
        AvdetError: another run has locked the folder.
    """
    with exclusive_lock(folder):
        for stale in folder.glob('*.partial'):
            stale.unlink()
        there = [first for first in firsts if shard_path(folder, first).exists()]
        if dropping and there:
            firsts = [first for first in firsts if first > there[0]]
        yield sorted(set(firsts) - set(there))


def drop_oldest(folder: Path, keep: int) -> None:
    """Delete the shards with the lowest seeds until `keep` shards are left.

    Raises:
        OSError: a shard cannot be deleted.
    """
    for path in sorted(folder.glob('windows_*.npz'))[:-keep]:
        path.unlink()


@contextmanager
def explain_failed_workers(folder: Path) -> Iterator[None]:
    """Explain in one sentence why processes that write into a folder failed.

    Raises:
        AvdetError: the disk is full, the folder cannot be written, or a process was killed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise AvdetError(
                f'{folder}: the disk is full: make room and run the same command again to continue'
            ) from error
        raise AvdetError(f'cannot write into {folder}: {explain_os_error(error)}') from error
    except BrokenProcessPool as error:
        raise AvdetError(
            f'{folder}: a process making windows was killed, perhaps for lack of memory; run '
            'the same command again to continue'
        ) from error


def use_folder(
    folder: Path, settings: Mapping[str, Any], newer: Mapping[str, Any] | None = None
) -> None:
    """Create a set's folder, or check that it holds a set with the same settings.

    Args:
        folder: folder of the set.
        settings: settings of the set, ready for JSON.
        newer: values assumed for settings that older sets do not record.

    Raises:
        AvdetError: the folder holds another set, shards without settings, or cannot be used.
    """
    path = folder / MANIFEST
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            noted = json.loads(path.read_text(encoding='utf-8'))
            _check_same(path, settings, noted, newer or {})
        elif any(folder.glob('windows_*.npz')):
            raise AvdetError(f'{folder}: expected {MANIFEST} next to the shards, found none')
        else:
            path.write_text(json.dumps(settings, indent=1) + '\n', encoding='utf-8')
    except (OSError, ValueError) as error:
        raise AvdetError(f'cannot use the folder {folder}: {error}') from error


def _check_same(
    path: Path, settings: Mapping[str, Any], found: object, newer: Mapping[str, Any]
) -> None:
    for key, value in settings.items():
        other = found.get(key, newer.get(key)) if isinstance(found, dict) else found
        if not isinstance(found, dict) or other != value:
            raise AvdetError(
                f'{path}: {key}: expected {str(value)[:60]} for this set, '
                f'found {str(other)[:60]}; choose another folder'
            )
