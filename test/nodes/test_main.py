"""Entry points, called in this process: the nodes they run, their start and their end."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time

import pytest
import rclpy

from avdet_ros.nodes import main, spin
from avdet_ros.process import END_SIGNALS

pytestmark = pytest.mark.ros


@pytest.fixture
def ran(monkeypatch):
    """The nodes and arguments that the entry points would run."""
    ran = []
    monkeypatch.setattr(main, '_run', lambda own, argv: ran.append((dict(own), list(argv))))
    return ran


@pytest.mark.parametrize('name', sorted(main.CLASSES))
def test_each_entry_point_runs_its_node(ran, monkeypatch, name):
    argv = [f'/bin/{name}', '--ros-args', '-p', 'autostart:=false']
    monkeypatch.setattr('sys.argv', argv)
    getattr(main, name)()
    assert ran == [({name: []}, argv)]


def test_composed_passes_own_and_common_arguments(ran, monkeypatch):
    own = ['--ros-args', '-p', 'tracker:=iou']
    for_all = ['--ros-args', '-r', '__ns:=/a']
    monkeypatch.setattr('sys.argv', ['composed', 'tracker', *own, '--', 'detector', *for_all])
    main.composed()
    assert ran == [({'tracker': own, 'detector': []}, ['composed', *for_all])]


@pytest.fixture
def restored_process():
    """Restore the signal handlers, environment and memory state that a program changes."""
    handlers = {number: signal.getsignal(number) for number in END_SIGNALS}
    environment, mask = dict(os.environ), signal.pthread_sigmask(signal.SIG_BLOCK, set())
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.environ.clear()
    os.environ.update(environment)
    gc.unfreeze()
    rclpy.try_shutdown()


@pytest.fixture
def steps(restored_process, monkeypatch):
    """The setup steps of the process, in order; the forced exit is only recorded."""
    steps = []
    for name in ('keep_freed_memory', 'use_one_arena', 'give_back_freed_memory', 'lower_priority'):
        monkeypatch.setattr(main, name, lambda name=name: steps.append(name))
    monkeypatch.setattr(main, '_force_exit_after_signal', lambda after_s: steps.append(after_s))
    return steps


def spin_until(seen, end):
    """Replaces `Spinner.spin`: records the nodes, then ends by calling `end`."""

    def spin_until(spinner):
        nodes = [spinner._first, *(executor.get_nodes()[0] for executor, _ in spinner._others)]
        seen.update({node.NAME: node for node in nodes})
        seen['states'] = {node.NAME: node.state for node in nodes}
        seen['frozen'] = gc.get_freeze_count()
        end(spinner)
        time.sleep(20)

    return spin_until


ARGV = ['x', '--ros-args', '-r', '__ns:=/avdet']


def test_nodes_start_with_their_arguments_and_end_on_a_signal(steps, monkeypatch):
    seen = {}
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setenv('NUMBA_NUM_THREADS', '3')
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as the supervisor leaves it
    end = lambda _: os.kill(os.getpid(), signal.SIGINT)  # noqa: E731
    monkeypatch.setattr(spin.Spinner, 'spin', spin_until(seen, end))
    own = {'tracker': ['--ros-args', '-p', 'tracker:=iou'], 'overlay': []}
    off = ['--ros-args', '-p', 'autostart:=false']
    began_s = time.monotonic()
    main._run({**own, 'recorder': off}, ARGV)
    assert time.monotonic() - began_s < 15
    assert seen['states'] == {'tracker': 'active', 'overlay': 'active', 'recorder': 'unconfigured'}
    assert seen['tracker'].p['tracker'] == 'iou'
    assert seen['tracker'].hand_over is seen['overlay'].hand_over
    assert seen['frozen'] > 1000
    assert steps == [30.0, 'keep_freed_memory', 'use_one_arena', 'give_back_freed_memory']
    assert (os.environ['OMP_NUM_THREADS'], os.environ['NUMBA_NUM_THREADS']) == ('1', '3')
    assert not rclpy.ok()
    assert seen['tracker']._state_machine is None  # it is destroyed
    for number in END_SIGNALS:  # a second signal has no effect
        assert signal.getsignal(number) == signal.SIG_IGN


def test_overlay_lowers_its_priority_and_a_failure_of_another_node_is_raised(steps, monkeypatch):
    seen = {}

    def fail(spinner):
        spinner.failure = ArithmeticError('of another node')
        raise KeyboardInterrupt

    monkeypatch.setattr(spin.Spinner, 'spin', spin_until(seen, fail))
    with pytest.raises(ArithmeticError, match='of another node'):
        main._run({'overlay': []}, ARGV)
    assert steps[0] == main.TIDY_S
    assert steps[3:] == ['lower_priority', 'give_back_freed_memory']
    assert not rclpy.ok()


def test_signal_before_the_start_of_nodes_ends_the_process_at_once(steps, monkeypatch):
    ended = []

    class Ended(BaseException):
        pass

    def leave(status):
        ended.append(status)
        raise Ended

    monkeypatch.setattr(main.os, '_exit', leave)
    kill = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
    monkeypatch.setattr(main, 'keep_freed_memory', kill)
    with pytest.raises(Ended):
        main._run({'tracker': []}, ARGV)
    assert ended == [0]


@pytest.mark.parametrize('number', END_SIGNALS)
def test_hanging_process_exits_a_fixed_time_after_its_signal(
    restored_process, monkeypatch, capsys, number
):
    ended, other = threading.Event(), []
    monkeypatch.setattr(main.os, '_exit', lambda status: other.append(status) or ended.set())
    signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    main._force_exit_after_signal(0.15)
    os.kill(os.getpid(), signal.SIGUSR1)  # other signals have no effect
    assert not ended.wait(0.3)
    began_s = time.monotonic()
    os.kill(os.getpid(), number)
    assert ended.wait(20)
    assert time.monotonic() - began_s > 0.1
    assert other == [0]
    printed = capsys.readouterr().out
    assert printed == 'still busy 0.15 s after the signal: ended all the same\n'
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
