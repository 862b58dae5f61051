"""Ensure that one run at a time writes into a folder, and that workers end with their run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import multiprocessing
from multiprocessing.connection import wait
import os
from pathlib import Path
import threading

from avdet_ros.errors import AvdetError


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Lock a folder; the lock ends with the process, however the process ends.

    Raises:
        AvdetError: another run holds it.
    """
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AvdetError(f'{folder}: another run is writing into this folder') from error
        except OSError:  # a file system without locks on folders, such as NFS
            pass
        yield
    finally:
        os.close(held)


def end_with_parent() -> None:
    """In a worker: exit at once when the parent process dies, even with half-written files.

    A surviving worker would write at the same time as the resumed run.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
