"""How a process treats the machine: who goes first, and what becomes of memory it is done with."""

from __future__ import annotations

from contextlib import suppress
import ctypes
import os
from pathlib import Path
import sys

NICENESS = 10
"""Of what can wait: about a tenth of a normal process's share when both want a core."""

_AUTOGROUP = Path('/proc/self/autogroup')
_THREADS = Path('/proc/self/task')
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 256 << 20
_LARGEST_MMAP_THRESHOLD = 32 << 20


def give_way() -> None:
    """Let other processes go first from now on; works without privileges, but not back.

    Linux may share cores among sessions before it shares them among a session's processes
    (sched(7), autogroup): a process that leads a session says it there too.
    """
    niceness = os.nice(NICENESS)
    for task in _THREADS.glob('*'):  # on Linux each thread has its own, inherited when it began
        with suppress(OSError):  # it has just ended
            os.setpriority(os.PRIO_PROCESS, int(task.name), niceness)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # not every kernel has them
            _AUTOGROUP.write_text(str(NICENESS))


def keep_memory() -> None:
    """Keep freed memory for the next window instead of giving it back to the system.

    A window's features need 30 MB for a moment. Taken from the system each time, they cost 1500
    page faults, a third of the time of the whole computation, and most of how much it varies
    (mallopt(3); without glibc nothing is changed).
    """
    if sys.platform == 'linux':
        mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
