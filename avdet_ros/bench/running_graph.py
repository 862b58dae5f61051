"""Run a graph's nodes as processes, with a monitor of their topics, for demo and benchmarks.

Processes, DDS and messages are the real ones. A thread supervises the node processes, and
everything stops at the end of the `with` block, however it ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import psutil

from avdet_ros.dds_domain import free_domain, release_domain
from avdet_ros.errors import AvdetError
from avdet_ros.graph import Graph
from avdet_ros.supervisor import Supervisor, require_ros, transport_settings

if TYPE_CHECKING:
    from avdet_ros.nodes.graph_monitor import GraphMonitor, Status

PATIENCE_S = 40.0
"""Maximum time to wait for an expected event; long, because a busy machine is slow."""

LINES = 4
"""Number of a node's last output lines to keep."""

_POLL_S = 0.1
_LAST_WORDS_S = 0.5


@dataclass(frozen=True)
class NodeLoad:
    """Load of one process.

    Attributes:
        node: name of its node, or ``composed``.
        megabytes: memory at the end: its own and its share of shared memory (PSS).
        cpu_percent: processor time during the measurement, % of one core.
    """

    node: str
    megabytes: float
    cpu_percent: float


class RunningGraph:
    """The node processes of a graph and a monitor of its topics, in a separate DDS domain.

    Attributes:
        graph: the graph that runs.
        monitor: the messages received, see `GraphMonitor`.
        supervisor: the node processes.
        environment: environment variables of the node processes.
        lines: the last lines that each node printed, by node.
    """

    graph: Graph
    monitor: GraphMonitor
    supervisor: Supervisor
    environment: dict[str, str]

    def __init__(
        self,
        make_graph: Callable[[], Graph],
        topics: Collection[str] = ('tracks',),
        on_picture: Callable[[np.ndarray], None] | None = None,
        environment: Mapping[str, str] | None = None,
        clock: bool = False,
    ) -> None:
        """Prepare the graph without starting it.

        Args:
            make_graph: makes the graph; called in its DDS domain.
            topics: topics for the monitor, see `GraphMonitor`.
            on_picture: called with each overlay picture, in a separate thread; None: no pictures.
            environment: additional environment variables of the node processes.
            clock: publish ``/clock``.
        """
        require_ros()
        self.lines: dict[str, deque[str]] = {}
        self._make_graph, self._topics, self._on_picture = make_graph, topics, on_picture
        self._more, self._clock = dict(environment or {}), clock
        self._ending = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start(self._stack)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        """Start everything; the stack stops it in reverse order."""
        from avdet_ros.nodes.graph_monitor import GraphMonitor

        stack.enter_context(own_domain())
        self.environment = {**os.environ, **self._more}
        self.graph = self._make_graph()
        self.monitor = GraphMonitor(self.graph.namespace, self._topics, self._on_picture)
        stack.callback(self.monitor.close)
        if self._clock:
            self.monitor.begin_clock()
        self.supervisor = Supervisor(self.graph, self.keep_line, self.environment)
        stack.callback(self.supervisor.stop)
        self.supervisor.start()
        poller = threading.Thread(target=self._poll, name='supervisor', daemon=True)
        poller.start()
        stack.callback(poller.join, 10)
        stack.callback(self._ending.set)

    @property
    def namespace(self) -> str:
        """Namespace of the graph."""
        return self.graph.namespace

    def check(self) -> None:
        """Check that no node has ended, in a graph that does not restart nodes.

        Raises:
            AvdetError: a node has ended; the message has its last line.
        """
        if self.graph.respawn or not self.supervisor.deaths:
            return
        time.sleep(_LAST_WORDS_S)  # its last lines may still arrive
        node, status = self.supervisor.deaths[0]
        lines = [line for line in self.lines.get(node, ()) if 'ended with' not in line]
        last = lines[-1] if lines else 'it printed nothing'
        raise AvdetError(f'node {node} ended with status {status}: {last}')

    def wait(
        self, condition: Callable[[], Any], expected: str, timeout_s: float = PATIENCE_S
    ) -> Any:
        """Wait until a condition is true, and return its result.

        Args:
            condition: called until its result is true.
            expected: what is expected, for the error message.
            timeout_s: maximum wait.

        Raises:
            AvdetError: the condition does not become true, or a node has ended.
        """
        until_s = time.monotonic() + timeout_s
        while not (found := condition()):
            if failure := self.monitor.failure:
                raise RuntimeError(f'the graph monitor has ended: {failure}') from failure
            self.check()
            if time.monotonic() > until_s:
                raise AvdetError(
                    f'expected {expected} within {timeout_s:g} s, found none ({self.last_lines()})'
                )
            time.sleep(0.02)
        return found

    def run_for(self, seconds: float) -> None:
        """Let the graph run for a while.

        Raises:
            AvdetError: a node has ended.
        """
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left_s, 0.1))

    def wait_status(self, node: str, words: str, since_s: float) -> Status:
        """Wait until a node's diagnostics contain these words, and return them.

        Args:
            node: name without the namespace.
            words: part of the message.
            since_s: `time.monotonic`; earlier diagnostics do not count.

        Raises:
            AvdetError: no such diagnostics arrive.
        """
        return self.wait(
            lambda: self.monitor.find_status(node, words, since_s),
            f'diagnostics of {node} with {words!r}',
        )

    def process(self, node: str) -> subprocess.Popen[str]:
        """Return the process that a node runs in."""
        name = next(
            process.name
            for process in self.graph.processes
            if node in [spec.name for spec in process.nodes]
        )
        return self.wait(lambda: self.supervisor.processes.get(name), f'the process of {node}')

    def last_lines(self) -> str:
        """Return the last lines that each node printed; nodes outside the graph come first."""
        in_graph = [process.name for process in self.graph.processes]
        named = sorted(self.lines.items(), key=lambda entry: entry[0] in in_graph)
        return '; '.join(f'{name}: {" / ".join(lines)}' for name, lines in named)

    def keep_line(self, node: str, line: str) -> None:
        """Remember a line that a node printed."""
        self.lines.setdefault(node, deque(maxlen=LINES)).append(line)

    def measure_load(self) -> Callable[[], list[NodeLoad]]:
        """Start a measurement; return a function that reads the nodes' loads since then.

        Nodes that have ended in between are left out.
        """
        handles = {
            name: psutil.Process(process.pid)
            for name, process in self.supervisor.processes.copy().items()
        }
        before = {name: _cpu_s(handle) for name, handle in handles.items()}
        began_s = time.monotonic()

        def read() -> list[NodeLoad]:
            elapsed_s = max(time.monotonic() - began_s, 1e-3)
            loads = []
            for name, handle in handles.items():
                try:
                    percent = 100 * (_cpu_s(handle) - before[name]) / elapsed_s
                    loads.append(NodeLoad(name, _share_bytes(handle) / 1e6, percent))
                except psutil.Error:
                    continue
            return loads

        return read

    def _poll(self) -> None:
        while not self._ending.wait(_POLL_S):
            self.supervisor.poll()


@contextmanager
def own_domain() -> Iterator[int]:
    """Use a free DDS domain, limited to this machine, for this process and its children."""
    domain = free_domain()
    settings = {
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        **transport_settings(os.environ),
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield domain
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        release_domain(domain)


def _share_bytes(process: psutil.Process) -> int:
    """Return the proportional memory (PSS), or resident memory if PSS is unavailable."""
    return getattr(process.memory_full_info(), 'pss', process.memory_info().rss)


def _cpu_s(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])
