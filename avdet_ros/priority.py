"""Who goes first when cores are few: the way from sound to tracks, before what is looked at."""

from __future__ import annotations

from contextlib import suppress
import os
from pathlib import Path

NICENESS = 10
"""Of what can wait: about a tenth of a normal process's share when both want a core."""

_AUTOGROUP = Path('/proc/self/autogroup')


def give_way() -> None:
    """Let other processes go first from now on; works without privileges, but not back.

    Linux may share cores among sessions before it shares them among a session's processes
    (sched(7), autogroup): a process that leads a session says it there too.
    """
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # not every kernel has them
            _AUTOGROUP.write_text(str(NICENESS))
