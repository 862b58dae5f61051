"""Start the graph's nodes as processes, forward their output, and end them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import ctypes
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time

from avdet_ros.errors import AvdetError
from avdet_ros.graph import Graph, NodeSpec, ProcessSpec
from avdet_ros.paths import share

RESPAWN_S = 0.3
"""Delay between a node's death and its restart; doubled each time it dies soon after a start."""

LONGEST_RESPAWN_S = 30.0
SOON_S = 5.0

PATIENCE_S = 5.0
"""Time that nodes have to end by themselves."""

RECORDER_PATIENCE_S = 32.0
"""Time that the recorder has to end; longer, because it writes its remaining data to the disk."""

_PR_SET_PDEATHSIG = 1

_NO_ROSOUT = 'Failed to publish log message to rosout'
"""Text that rcl prints for each log line of a node whose context has ended."""


class Supervisor:
    """The processes of one graph.

    Attributes:
        processes: running processes by name, see `avdet_ros.graph.ProcessSpec`.
        deaths: (name, exit status) of each process that ended without being stopped.
    """

    def __init__(
        self,
        graph: Graph,
        on_line: Callable[[str, str], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare the supervisor; nothing is started.

        Args:
            graph: the graph to run.
            on_line: called with (process, line) for each line of output, from other threads.
            environment: environment of the processes; None takes that of this process.
        """
        self._graph = graph
        self._on_line = on_line
        base = dict(os.environ if environment is None else environment)
        self._environment = {**base, 'PYTHONUNBUFFERED': '1', **transport_settings(base)}
        self._ending = False
        self._readers: dict[str, threading.Thread] = {}
        self._started_s: dict[str, float] = {}
        self._delay_s: dict[str, float] = {}
        self._due_s: dict[str, float] = {}
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.deaths: list[tuple[str, int]] = []

    def start(self) -> None:
        """Start every node."""
        for process in self._graph.processes:
            self._start(process)

    def poll(self) -> None:
        """Restart dead nodes; call this a few times per second."""
        now = time.monotonic()
        for spec in self._graph.processes:
            process = self.processes.get(spec.name)
            if process is not None and process.poll() is not None:
                self._died(spec.name, process.returncode)
            if spec.name in self._due_s and now >= self._due_s[spec.name]:
                del self._due_s[spec.name]
                self._start(spec)

    @property
    def running(self) -> bool:
        """Whether a node runs or will be restarted."""
        return bool(self.processes or self._due_s)

    def stop(self) -> None:
        """End all nodes: by SIGINT, then SIGTERM, and finally SIGKILL."""
        self._ending = True
        self._due_s.clear()
        for number, patience_s in (
            (signal.SIGINT, PATIENCE_S),
            (signal.SIGTERM, PATIENCE_S / 2),
            (signal.SIGKILL, PATIENCE_S),
        ):
            left = {name: p for name, p in self.processes.items() if p.poll() is None}
            for name, process in left.items():
                if number == signal.SIGKILL:
                    self._on_line(name, 'does not end: killed')
                process.send_signal(number)
            began_s = time.monotonic()
            for name, process in left.items():
                longest_s = RECORDER_PATIENCE_S if name == 'recorder' else patience_s
                try:
                    process.wait(max(began_s + longest_s - time.monotonic(), 0.01))
                except subprocess.TimeoutExpired:
                    continue
        self.processes.clear()
        if 'recorder' in self._readers:  # its last line sums up the recording
            self._readers['recorder'].join(PATIENCE_S)

    def _start(self, spec: ProcessSpec) -> None:
        process = subprocess.Popen(
            command(spec, self._graph),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            start_new_session=True,  # Ctrl-C reaches only this process, which ends the others
            preexec_fn=_prepare_child,
        )
        self.processes[spec.name] = process
        self._started_s[spec.name] = time.monotonic()
        reader = threading.Thread(target=self._read, args=(spec.name, process), daemon=True)
        self._readers[spec.name] = reader
        reader.start()

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # it is a pipe
        for line in process.stdout:
            if not self._ending or (name == 'recorder' and not line.startswith(_NO_ROSOUT)):
                self._on_line(name, line.rstrip('\n'))
        process.stdout.close()

    def _died(self, name: str, status: int) -> None:
        del self.processes[name]
        self.deaths.append((name, status))
        if not self._graph.respawn:
            self._on_line(name, f'ended with status {status}')
            return
        at_once = time.monotonic() - self._started_s[name] < SOON_S
        delay_s = min(2 * self._delay_s.get(name, RESPAWN_S / 2), LONGEST_RESPAWN_S)
        self._delay_s[name] = delay_s if at_once else RESPAWN_S
        self._due_s[name] = time.monotonic() + self._delay_s[name]
        again = f'starting it again in {self._delay_s[name]:g} s'
        self._on_line(name, f'ended with status {status}; {again}')


def require_ros() -> None:
    """Check that nodes can run here.

    Raises:
        AvdetError: rclpy or vision_msgs is not installed, or no workspace is sourced.
    """
    for module in ('rclpy', 'vision_msgs'):
        if importlib.util.find_spec(module) is None:
            raise AvdetError(
                f'{module} is missing: source a ROS 2 workspace, or run make setup in a checkout'
            )


def command(spec: NodeSpec | ProcessSpec, graph: Graph) -> list[str]:
    """Return the command line of a node in its own process, or of a process."""
    nodes = spec.nodes if isinstance(spec, ProcessSpec) else (spec,)
    words = [sys.executable, '-m', 'avdet_ros.nodes.main', spec.name]
    words += composed_words(nodes) if len(nodes) > 1 else []
    words += ['--ros-args', '-r', f'__ns:={graph.namespace}', '--log-level', graph.log_level]
    words += ['--params-file', graph.params_file]
    return words if len(nodes) > 1 else [*words, *_own_words(nodes[0])]


def composed_words(nodes: Iterable[NodeSpec]) -> list[str]:
    """Return arguments for the nodes of one process; see `avdet_ros.nodes.main.composed`."""
    return [word for node in nodes for word in (node.name, '--ros-args', *_own_words(node), '--')]


def _own_words(node: NodeSpec) -> list[str]:
    words = []
    for topic, other in node.remappings.items():
        words += ['-r', f'{topic}:={other}']
    for name, value in node.parameters.items():
        words += ['-p', f'{name}:={json.dumps(value)}']  # JSON is YAML with quoted texts
    return words


def shutdown_timeouts(name: str) -> dict[str, str]:
    """Return the shutdown timeouts of a process, as keywords of launch's Node.

    Args:
        name: name of the process.
    """
    if name != 'recorder':
        return {}
    return {'sigterm_timeout': f'{RECORDER_PATIENCE_S:g}', 'sigkill_timeout': f'{PATIENCE_S:g}'}


def transport_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables for large messages in shared memory; none if the user has own settings."""
    names = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    own = (*names, 'FASTDDS_BUILTIN_TRANSPORTS', 'ROS_DISCOVERY_SERVER')
    if any(name in environment for name in own):
        return {}
    if environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp') != 'rmw_fastrtps_cpp':
        return {}
    return dict.fromkeys(names, str(share('config/fastdds.xml')))


def _prepare_child() -> None:
    """Set up signals in the child process before it becomes a node.

    The child receives SIGTERM when the supervisor dies, so that no node is left behind. SIGINT is
    blocked until the node has a handler and unblocks it; otherwise the interpreter would print a
    traceback while it is still starting.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
