"""A node's thread that works on the newest values and never builds up a queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from avdet_ros.errors import AvdetError

if TYPE_CHECKING:
    from avdet_ros.nodes.lifecycle import AvdetNode

JOIN_S = 5.0
"""How long the thread may take to end."""

_CATCH_UP_S = 0.5

T = TypeVar('T')


class LatestValueWorker(Generic[T]):
    """Works on values one after the other; while busy, it keeps the newest few and drops the rest.

    So an overloaded node drops values and never queues them. The executor's thread only hands
    values over.

    Attributes:
        dropped: number of values that were replaced by newer ones.
    """

    def __init__(
        self,
        name: str,
        keep: int,
        work: Callable[[T | None], None],
        on_refused: Callable[[AvdetError], None],
        on_failed: Callable[[Exception], None],
        *,
        idle_s: float | None = None,
        period_s: Callable[[], float] | None = None,
        rest_s: float = 0.0,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare; `start` starts the thread.

        Args:
            name: name of the thread.
            keep: how many values may wait.
            work: receives one value, in the thread; None if there was none for `idle_s`.
            on_refused: receives an AvdetError of `work`, in the thread.
            on_failed: receives any other error, in the thread, which continues.
            idle_s: call `work` with None after this long without a value; None: never.
            period_s: returns the least time from one call of `work` to the next, called each time;
                `work` then receives the newest value.
            rest_s: wait this long after an error.
            alive: whether the process is to continue; once it is not, an error ends the thread.
        """
        self.dropped = 0
        self._keep, self._work = keep, work
        self._on_refused, self._on_failed = on_refused, on_failed
        self._idle_s, self._period_s = idle_s, period_s
        self._rest_s, self._alive = rest_s, alive
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._next_s = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many values wait."""
        return len(self._waiting)

    def put(self, value: T) -> None:
        """Hand a value over, from any thread; drop the oldest if too many wait."""
        with self._changed:
            self._waiting.append(value)
            if len(self._waiting) > self._keep:
                self._waiting.popleft()
                self.dropped += 1
            self._changed.notify()

    def clear(self) -> None:
        """Drop the waiting values."""
        with self._changed:
            self._waiting.clear()

    def pause(self, seconds: float) -> bool:
        """Wait, when called by `work`; return True if the thread is to end."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ending, max(seconds, 0.0))

    def stop(self) -> None:
        """End the thread; one that hangs is abandoned after `JOIN_S`."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        while self._ready():
            with self._changed:
                value = self._waiting.popleft() if self._waiting else None
            try:
                self._work(value)
            except AvdetError as error:
                self._on_refused(error)
                self.pause(self._rest_s)
            except Exception as error:
                if self._ending or not self._alive():
                    return
                self._on_failed(error)
                self.pause(self._rest_s)

    def _ready(self) -> bool:
        """Wait until there is something to do; return False if the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending or self._waiting, self._idle_s)
            if self._ending:
                return False
        if self._period_s is None:
            return True
        if self.pause(self._next_s - time.monotonic()):
            return False
        self._next_s = max(self._next_s, time.monotonic() - _CATCH_UP_S) + self._period_s()
        return True


def make_worker(
    node: AvdetNode,
    task: str,
    keep: int,
    work: Callable[[Any], None],
    on_refused: Callable[[AvdetError], None] | None = None,
    **options: Any,
) -> LatestValueWorker[Any]:
    """Make a worker whose errors the node logs and reports in its diagnostics.

    Args:
        node: node that the worker belongs to.
        task: the work, for the thread's name and for diagnostics.
        keep: how many values may wait.
        work: receives one value.
        on_refused: receives an AvdetError of `work`; None: the node reports it.
        **options: those of `LatestValueWorker`.
    """

    def refuse(error: AvdetError) -> None:
        node.refuse(task, str(error))

    def fail(error: Exception) -> None:
        node.fail(task, error)

    return LatestValueWorker(
        task, keep, work, on_refused or refuse, fail, alive=node.context.ok, **options
    )
