"""How a process treats the machine and the signals that end it."""

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
"""Of processes that can wait: a tenth of a normal one's share when both want a core."""

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask a process to end."""

_AUTOGROUP = Path('/proc/self/autogroup')
_THREADS = Path('/proc/self/task')
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_KEPT_BYTES = 256 << 20
_LARGEST_MMAP_THRESHOLD = 32 << 20


def lower_priority(by: int = NICENESS) -> None:
    """Let other processes go first from now on; works without privileges, but not back.

    Args:
        by: how much, see nice(1): 5 steps weigh three to one.

    Linux may share cores among sessions before it shares them among a session's processes
    (sched(7), autogroup): a process that leads a session sets it there too.
    """
    niceness = os.nice(by)
    for task in _THREADS.glob('*'):  # on Linux each thread has its own, inherited when it began
        with suppress(OSError):  # it has just ended
            os.setpriority(os.PRIO_PROCESS, int(task.name), niceness)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # not every kernel has them
            _AUTOGROUP.write_text(str(by))


def raise_priority(priority: int, but: Collection[str] = ()) -> str:
    """Let this process's threads go before all that has no real-time priority (SCHED_FIFO).

    Threads that begin later are as others are: call it again for them. Child processes are, too.

    Args:
        priority: 1 to 99, see sched(7).
        but: names of `threading` threads that work for long and stay as they are.

    Returns:
        Why it was refused, in one sentence; '' when it was granted.
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
        except ProcessLookupError:  # it has just ended
            continue
        except OSError as error:
            return (
                f'real-time priority {priority} is refused ({error.strerror}): allow it with a '
                f'line "@group - rtprio {priority}" in /etc/security/limits.conf'
            )
    return ''


def keep_freed_memory() -> None:
    """Keep freed memory for the next window instead of giving it back to the system.

    A window's features need 30 MB for a moment. Taken from the system each time, they cost 1500
    page faults, a third of the time of the whole computation, and most of how much it varies
    (mallopt(3); without glibc nothing is changed).
    """
    _mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    _mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Give what is free now back to the system, once, in spite of `keep_freed_memory`.

    What only starting needed, as tens of MB for reading a model or drawing a road, would stay with
    the process for good.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None
    if trim is not None:
        trim(0)


def use_one_arena() -> None:
    """Let all threads that begin from now on take memory from one place.

    Else each of them keeps what it once needed, and whenever a busy machine makes one wait for
    another, glibc gives it a place of its own: a node would grow a little with each stall.
    """
    _mallopt(_M_ARENA_MAX, 1)


def _mallopt(parameter: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None
    if mallopt is not None:
        mallopt(parameter, value)


def exit_on_signal() -> None:
    """Let `END_SIGNALS` end this process with status 0, while there is nothing to tidy up yet."""
    for number in END_SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))


class SignalFlag:
    """Whether one of `END_SIGNALS` has come.

    A `threading.Event` would not do: a handler runs between two steps of the main thread, which
    may just then hold the event's lock, and would wait for it for ever.

    As a context it gives them back at its end; only the main thread can take them.

    Attributes:
        received: whether one has come.
    """

    def __init__(self) -> None:
        """Take the signals from now on."""
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
    """A block that the first of `END_SIGNALS` ends, as `KeyboardInterrupt` that goes no further.

    Those that follow, as Ctrl-C and `ros2 launch` send one each, do not disturb the tidying up.
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
