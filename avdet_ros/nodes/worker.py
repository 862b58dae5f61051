"""The thread of a node that works on the newest values and never falls behind."""

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
    """Works on values one after the other; while it is busy the newest few wait, older ones go.

    An overloaded node so falls behind by dropping, never by queueing. The executor's thread only
    hands values over.

    Attributes:
        dropped: values that newer ones took the place of.
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
            name: of the thread.
            keep: how many values may wait.
            work: gets one value, in the thread; None where there was none for `idle_s`.
            on_refused: gets an AvdetError of `work`, in the thread.
            on_failed: gets any other error, in the thread, which goes on.
            idle_s: call `work` with None after so long without a value; None: never.
            period_s: least time from one call of `work` to the next, asked for each time; the
                value that is then the newest is worked on.
            rest_s: wait so long after an error.
            alive: whether the process goes on; once it does not, an error ends the thread.
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
        """Hand a value over, from any thread; the oldest goes where too many wait."""
        with self._changed:
            self._waiting.append(value)
            if len(self._waiting) > self._keep:
                self._waiting.popleft()
                self.dropped += 1
            self._changed.notify()

    def clear(self) -> None:
        """Forget what waits."""
        with self._changed:
            self._waiting.clear()

    def pause(self, seconds: float) -> bool:
        """Wait, for `work`; True when the thread is to end."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ending, max(seconds, 0.0))

    def stop(self) -> None:
        """End the thread; one that hangs is left to itself after `JOIN_S`."""
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
        """Wait until there is something to do; False when the thread is to end."""
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
    what: str,
    keep: int,
    work: Callable[[Any], None],
    on_refused: Callable[[AvdetError], None] | None = None,
    **options: Any,
) -> LatestValueWorker[Any]:
    """A worker whose errors the node logs and reports in its diagnostics.

    Args:
        node: whose it is.
        what: the work, for the thread's name and for diagnostics.
        keep: how many values may wait.
        work: gets one value.
        on_refused: gets an AvdetError of `work`; None: the node reports it.
        **options: those of `LatestValueWorker`.
    """

    def refuse(error: AvdetError) -> None:
        node.refuse(what, str(error))

    def fail(error: Exception) -> None:
        node.fail(what, error)

    return LatestValueWorker(
        what, keep, work, on_refused or refuse, fail, alive=node.context.ok, **options
    )
