"""Priority, memory and end signals of a process."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
import ctypes
import os
from pathlib import Path
import signal
import sys
import threading
from typing import Any

NICENESS = 10
"""Niceness of processes that can wait: a tenth of a normal one's share if both need a core."""

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask a process to end."""

_AUTOGROUP = Path('/proc/self/autogroup')
_THREADS = Path('/proc/self/task')
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_KEPT_BYTES = 256 << 20
_LARGEST_MMAP_THRESHOLD = 32 << 20


def lower_priority(by: int = NICENESS) -> None:
    """Lower this process's priority; needs no privileges, but cannot be undone.

    Args:
        by: niceness to add, see nice(1); 5 steps correspond to a ratio of three to one.

    Linux may divide cores among sessions before it divides them among a session's processes
    (sched(7), autogroup), so a process that leads a session also sets the session's niceness.
    """
    niceness = os.nice(by)
    for task in _THREADS.glob('*'):  # on Linux each thread has its own, inherited at its start
        with suppress(OSError):  # the thread has just ended
            os.setpriority(os.PRIO_PROCESS, int(task.name), niceness)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # not every kernel has autogroups
            _AUTOGROUP.write_text(str(by))


def raise_priority(priority: int, but: Collection[str] = ()) -> str:
    """Give this process's threads real-time priority (SCHED_FIFO).

    Threads that start later have normal priority: call it again for them. Child processes also
    have normal priority.

    Args:
        priority: 1 to 99, see sched(7).
        but: names of `threading` threads with long work, which keep normal priority.

    Returns:
        Why it was refused, in one sentence; '' if it was granted.
    """
    if sys.platform != 'linux':
        return 'real-time priority: expected Linux, found another system'
    left = {thread.native_id for thread in threading.enumerate() if thread.name in but}
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    for task in _THREADS.glob('*'):
        number = int(task.name)
        try:
            if number not in left and os.sched_getscheduler(number) & ~os.SCHED_RESET_ON_FORK == 0:
                os.sched_setscheduler(number, policy, os.sched_param(priority))
        except ProcessLookupError:  # the thread has just ended
            continue
        except OSError as error:
            return (
                f'real-time priority {priority} is refused ({error.strerror}): allow it with a '
                f'line "@group - rtprio {priority}" in /etc/security/limits.conf'
            )
    return ''


def keep_freed_memory() -> None:
    """Keep freed memory for the next window instead of returning it to the system.

    A window's features need 30 MB for a short time. Allocating them from the system each time
    costs 1500 page faults, a third of the computation time, and most of its variation
    (mallopt(3); without glibc nothing is changed).
    """
    _mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    _mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Return the memory that is free now to the system, once, in spite of `keep_freed_memory`.

    Otherwise memory that only the start needed would stay with the process permanently, e.g. tens
    of MB for reading a model or drawing a road.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None
    if trim is not None:
        trim(0)


def use_one_arena() -> None:
    """Let all threads that start from now on allocate memory from one arena.

    Otherwise each thread may keep the memory it once needed: whenever a thread has to wait for
    another on a busy machine, glibc gives it its own arena, and a node grows a little with each
    stall.
    """
    _mallopt(_M_ARENA_MAX, 1)


def _mallopt(parameter: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None
    if mallopt is not None:
        mallopt(parameter, value)


def exit_on_signal() -> None:
    """Let `END_SIGNALS` end this process with status 0, while there is nothing to clean up."""
    for number in END_SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))


class SignalFlag:
    """Records whether one of `END_SIGNALS` was received.

    A `threading.Event` would not work: a handler runs between two steps of the main thread, which
    may hold the event's lock at that moment, so the handler would wait forever.

    As a context manager it restores the previous handlers at its end. Only the main thread can
    handle the signals.

    Attributes:
        received: whether a signal was received.
    """

    def __init__(self) -> None:
        """Install the signal handlers."""
        self.received = False
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in END_SIGNALS:
                self._before[number] = signal.signal(number, self._note)

    def __enter__(self) -> SignalFlag:
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, *_: object) -> None:
        self.received = True


@contextmanager
def until_signal() -> Iterator[None]:
    """Run a block until the first of `END_SIGNALS`, which raises `KeyboardInterrupt` inside only.

    Later signals do not disturb the cleanup; Ctrl-C and `ros2 launch` send one each.
    """
    ended = False

    def on_signal(*_: object) -> None:
        nonlocal ended
        if not ended:
            ended = True
            raise KeyboardInterrupt

    before = {number: signal.signal(number, on_signal) for number in END_SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        if not ended:
            raise
    finally:
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_IGN if ended else before[number])
