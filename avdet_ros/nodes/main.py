"""Entry points of the nodes: start, spin, and end cleanly however early a signal arrives."""

from __future__ import annotations

from collections.abc import Mapping
import gc
import importlib
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

from avdet_ros.nodes.command_line import split_words, take_words, words_outside_ros_args
from avdet_ros.process import (
    END_SIGNALS,
    give_back_freed_memory,
    keep_freed_memory,
    lower_priority,
    use_one_arena,
)

if TYPE_CHECKING:
    from avdet_ros.nodes.lifecycle import AvdetNode

CLASSES = {
    'camera': 'CameraNode',
    'capture': 'CaptureNode',
    'detector': 'DetectorNode',
    'tracker': 'TrackerNode',
    'overlay': 'OverlayNode',
    'recorder': 'RecorderNode',
}

ABOUT = {
    'camera': 'Publishes images of a simulated drive.',
    'capture': 'Turns the sound of eight microphones into a spectrogram for each window.',
    'detector': 'Turns each spectrogram into boxes of vehicles in the camera image.',
    'tracker': 'Links the boxes to tracks with identities.',
    'overlay': 'Draws tracks, sound and markers for people to see.',
    'recorder': 'Records topics into a bag.',
}
"""What each node does, for its help."""

_LOW_PRIORITY = ('camera', 'overlay')
"""Nodes off the latency-critical path."""

COMPOSED = 'composed'
"""The program that runs several nodes in one process."""

TIDY_S = 3.0
"""How long after a signal a node may take to end."""

_TIDY_S = {'recorder': 30.0}
"""Longer times: recorded data that are not yet on disk are worth waiting for."""


def camera() -> None:
    """Run node camera."""
    run('camera')


def capture() -> None:
    """Run node capture."""
    run('capture')


def detector() -> None:
    """Run node detector."""
    run('detector')


def tracker() -> None:
    """Run node tracker."""
    run('tracker')


def overlay() -> None:
    """Run node overlay."""
    run('overlay')


def recorder() -> None:
    """Run node recorder."""
    run('recorder')


def composed() -> None:
    """Run the nodes that the command line names, in one process.

    Raises:
        SystemExit: the command line asks for help, or contains an unknown word.
    """
    if {'-h', '--help'} & set(sys.argv):
        print(_COMPOSED_HELP)
        sys.exit(0)
    node_arguments = split_words(COMPOSED, CLASSES, sys.argv)
    for_all = node_arguments.pop('')
    _run(node_arguments, [sys.argv[0], *for_all])


def run(name: str) -> None:
    """Run one node until SIGINT or SIGTERM; both end it with exit status 0.

    Raises:
        SystemExit: the command line asks for help, or contains an unknown word.
    """
    if words_outside_ros_args(sys.argv) or {'-h', '--help'} & set(sys.argv):
        from avdet_ros.parameters import NODES

        take_words(name, ABOUT[name], NODES[name], sys.argv)
    _run({name: []}, sys.argv)


def _run(node_arguments: Mapping[str, list[str]], argv: list[str]) -> None:
    """Run nodes in this process until a signal.

    Args:
        node_arguments: ROS arguments of each single node, by its name.
        argv: command line with the arguments for all nodes.
    """
    handing_over = False

    def on_signal(number: int, _: object) -> None:
        if not handing_over:  # there is nothing to tidy up yet
            os._exit(0)
        if number == signal.SIGINT:
            raise KeyboardInterrupt

    # Once installed, rclpy's own handlers end its context and then call these.
    for number in END_SIGNALS:
        signal.signal(number, on_signal)
    _force_exit_after_signal(max(_TIDY_S.get(name, TIDY_S) for name in node_arguments))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the supervisor blocks it
    # One window at a time: more threads would only take cores from the other nodes.
    for variable in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'NUMBA_NUM_THREADS'):
        os.environ.setdefault(variable, '1')

    keep_freed_memory()
    use_one_arena()
    import rclpy

    from avdet_ros.nodes.hand_over import FeatureHandOver
    from avdet_ros.nodes.log_bridge import LogBridge
    from avdet_ros.nodes.shutdown import until_ros_ends
    from avdet_ros.nodes.spin import Spinner

    classes = [
        getattr(importlib.import_module(f'avdet_ros.nodes.{name}'), CLASSES[name])
        for name in node_arguments
    ]
    nodes: list[AvdetNode] = []
    bridge = spinner = None
    handing_over = True
    try:
        with until_ros_ends():
            rclpy.init(args=argv)
            hand_over = FeatureHandOver()
            for node_class, words in zip(classes, node_arguments.values(), strict=True):
                nodes.append(node_class(hand_over=hand_over, cli_args=words or None))
            bridge = LogBridge(*nodes)
            for node in reversed(nodes):  # receivers start before senders
                if node.p['autostart']:
                    node.try_start()
            # Not earlier: on a busy machine the node would take minutes to start.
            if all(name in _LOW_PRIORITY for name in node_arguments):
                lower_priority()
            # Loaded objects stay: looking for garbage in them would delay some windows.
            gc.collect()
            gc.freeze()
            give_back_freed_memory()
            spinner = Spinner(nodes)
            spinner.spin()
    finally:
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if spinner is not None:
            spinner.stop()
        if bridge is not None:
            bridge.close()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    if spinner is not None and spinner.failure is not None:
        raise spinner.failure


def _force_exit_after_signal(after_s: float) -> None:
    """End this process a fixed time after a signal, whatever it is doing then.

    A driver that hangs never returns, and Python runs signal handlers only between its own
    instructions. But the interpreter writes each signal to a socket at once; a thread reads it.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        with sender:  # kept open
            while receiver.recv(1)[0] not in END_SIGNALS:
                pass
            time.sleep(after_s)
            print(f'still busy {after_s:g} s after the signal: ended all the same', flush=True)
            os._exit(0)

    threading.Thread(target=watch, name='force exit', daemon=True).start()


_COMPOSED_HELP = f"""\
usage: ros2 run avdet_ros {COMPOSED} NODE [--ros-args ... --] NODE ... [--ros-args ...]

Runs several nodes in one process; capture hands its windows to detector without a message.
NODE: {', '.join(CLASSES)}. ROS arguments between a node's name and -- are for
that node alone, the last ones for all of them. Parameters: `ros2 run avdet_ros NODE --help`."""


if __name__ == '__main__':
    chosen = sys.argv.pop(1) if len(sys.argv) > 1 else ''
    if chosen == COMPOSED:
        composed()
    elif chosen in CLASSES:
        run(chosen)
    else:
        known = '|'.join((*CLASSES, COMPOSED))
        sys.exit(f'usage: python -m avdet_ros.nodes.main {known} [--ros-args ...]')
