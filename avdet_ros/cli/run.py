"""`avdet run`: start the node graph without ros2 launch."""

from __future__ import annotations

import threading
import time
from typing import Annotated

from rich.table import Table
from rich.text import Text
import typer

from avdet_ros.cli.console import console
from avdet_ros.errors import AvdetError

_COLOURS = {
    'camera': 'white',
    'capture': 'cyan',
    'composed': 'cyan',
    'detector': 'magenta',
    'tracker': 'green',
    'overlay': 'yellow',
    'recorder': 'blue',
}


def run(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar='[NAME:=VALUE]...', help='Arguments as for ros2 launch.'),
    ] = None,
    show_args: Annotated[
        bool, typer.Option('--show-args', '-s', help='List all arguments and exit.')
    ] = False,
) -> None:
    """Start capture, detector, tracker and overlay as processes; Ctrl-C ends them.

    Accepts the arguments of `ros2 launch avdet_ros avdet.launch.py`, for example
    source:=device device:=NAME rig:=my_rig.yaml, or source:=simulation. The nodes keep
    running after the end of a drive or file.
    """
    from avdet_ros.process import SignalFlag, exit_on_signal

    exit_on_signal()
    from avdet_ros.graph import make_graph, parse_arguments

    if show_args:
        _show_arguments()
        return
    graph = make_graph(parse_arguments(arguments or []))
    if graph.rviz:
        raise AvdetError('rviz:=true: expected ros2 launch; avdet view shows the same without')
    from avdet_ros.supervisor import Supervisor, require_ros

    require_ros()

    lock = threading.Lock()

    def print_output(node: str, line: str) -> None:
        with lock:
            text = Text.assemble((f'{node:>8} |', _COLOURS[node]), f' {line}')
            console().print(text, soft_wrap=True)

    stop = SignalFlag()
    supervisor = Supervisor(graph, print_output)
    try:
        supervisor.start()
        while not stop.received and supervisor.running:
            supervisor.poll()
            time.sleep(0.1)
    finally:
        supervisor.stop()
    if not stop.received:
        raise AvdetError('every node has ended without being stopped; their last lines say why')


def _show_arguments() -> None:
    from avdet_ros.graph import ARGUMENTS

    table = Table(box=None, pad_edge=False)
    for title in ('argument', 'default', 'meaning'):
        table.add_column(title, overflow='fold')
    for argument in ARGUMENTS:
        choices = f' ({", ".join(argument.choices)})' if argument.choices else ''
        table.add_row(argument.name, argument.default or "''", argument.description + choices)
    console().print(table)
