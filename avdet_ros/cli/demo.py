"""`avdet demo`: run the four nodes on a simulated drive that no model was trained on."""

from __future__ import annotations

from pathlib import Path
import signal
import time
from typing import Annotated, Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
import typer

from avdet_ros.cli.console import console, print_line
from avdet_ros.errors import AvdetError
from avdet_ros.process import END_SIGNALS, SignalFlag
from avdet_ros.sources.simulated import DEMO_SEED
from avdet_ros.tracking import GroundTracker

FIRST_SEED = 300_000
"""Lowest seed of demo drives; lower seeds are for training, validation and tests."""

_REFRESH_S = 0.2
_PLAIN_EVERY_S = 5.0


def demo(
    duration: Annotated[
        float, typer.Option(min=2, max=3600, help='Length of the drive, seconds.')
    ] = 30.0,
    out: Annotated[Path, typer.Option(help='Folder for the results.')] = Path('out/demo'),
    seed: Annotated[
        int,
        typer.Option(
            help='Seed of the drive, from 300000; lower seeds are for training and tests.'
        ),
    ] = DEMO_SEED,
    model: Annotated[str, typer.Option(help='Model file; default: the shipped one.')] = '',
    tracker: Annotated[str, typer.Option(help='Name of the tracker.')] = GroundTracker.name,
    camera: Annotated[
        bool, typer.Option(help='Render camera pictures too, and draw the boxes on them.')
    ] = True,
) -> None:
    """Run the four nodes on a simulated drive and show the vehicles that they detect."""
    if seed < FIRST_SEED:
        raise AvdetError(f'--seed: expected {FIRST_SEED} or more, found {seed}')
    from avdet_ros.bench.demo import Demo, Plan, prepare_folder
    from avdet_ros.paths import DEFAULT_MODEL, share
    from avdet_ros.supervisor import require_ros

    require_ros()
    model = model or str(share(DEFAULT_MODEL))
    plan = Plan(out.resolve(), duration, seed, model, tracker, camera)
    prepare_folder(plan.out)
    stopped = SignalFlag()
    print_line(f'drive {seed}, {duration:g} s: starting {6 if camera else 5} processes')
    show = Demo(plan)
    try:
        with show.running():
            _watch(show, plan, stopped)
    except AvdetError as error:
        if stopped.received:
            return
        raise error
    finally:
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # results are being written: ignore signals
    if not show.windows:
        if stopped.received:
            return
        raise AvdetError(f'no window came through: {show.graph.last_lines()}')
    if stopped.received:
        print_line('interrupted: these are the results so far')
    summary = show.summary()
    paths = show.write(summary)
    _print_summary(summary)
    for path in paths:
        print_line(f'  {path}', 'dim')


def _watch(show: Any, plan: Any, stopped: SignalFlag) -> None:
    """Show the tracks until the drive ends or a signal stops it."""
    from avdet_ros.rig import load_rig

    camera = load_rig().camera
    if not console().is_terminal:
        printed_s = time.monotonic()
        while show.going_on() and not stopped.received:
            time.sleep(_REFRESH_S)
            if time.monotonic() - printed_s > _PLAIN_EVERY_S:
                printed_s = time.monotonic()
                print_line(_line(show, plan))
        return
    with Live(console=console(), refresh_per_second=1 / _REFRESH_S, transient=True) as live:
        while show.going_on() and not stopped.received:
            time.sleep(_REFRESH_S)
            bar = ProgressBar(total=plan.windows, completed=show.windows, width=40)
            live.update(Group(_tracks_table(show, camera), bar, Text(_line(show, plan))))


def _line(show: Any, plan: Any) -> str:
    late = show.graph.monitor.latency_ms
    latency = f'{late[-1][1]:.0f} ms' if late else '-'
    return f'{show.windows} of {plan.windows} windows, newest latency {latency}'


def _tracks_table(show: Any, camera: Any) -> Table:
    import numpy as np

    from avdet_ros.drawing.style import colour

    table = Table(title='vehicles now', min_width=64)
    for title in ('identity', 'score', 'bearing', 'box (pixels)'):
        table.add_column(title, justify='right')
    tracks = show.graph.monitor.tracks
    found: Any = tracks[-1].found if tracks else None
    ids = tracks[-1].ids if tracks else ()
    for index, text in enumerate(ids):
        box = found.boxes_px[index]
        ray = camera.directions([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
        bearing = -np.degrees(np.arctan2(ray[1], ray[0]))
        side = 'right' if bearing > 0 else 'left'
        blue, green, red = colour(int(text))
        corners = ' '.join(f'{edge:4.0f}' for edge in box)
        style = f'rgb({red},{green},{blue})'
        table.add_row(
            Text(f'#{text}', style),
            f'{found.scores[index]:.2f}',
            f'{abs(bearing):.0f} {side}',
            corners,
        )
    return table


def _print_summary(summary: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style='bold')
    table.add_column(overflow='fold')
    late = summary['latency_ms']
    cpu = ', '.join(f'{name} {used:g} %' for name, used in summary['cpu_percent'].items())
    rows = {
        'drive': f'{summary["seconds"]:g} s, {summary["windows"]} windows, '
        f'{summary["windows_dropped"]} dropped',
        'found': f'{summary["detections"]} boxes, {summary["tracks"]} identities',
        'mAP@0.5': _number(summary['map50']),
        'MOTA': _number(summary['mota']),
        'latency': f'p50 {late["p50"]} ms, p99 {late["p99"]} ms, max {late["max"]} ms',
        'CPU': cpu,
        'model': f'{summary["model"]["file"]} ({summary["model"]["sha256"][:12]})',
        'ROS': summary['ros_distro'],
    }
    for name, words in rows.items():
        table.add_row(name, words)
    console().print(table)


def _number(value: float | None) -> str:
    return 'nothing to score' if value is None else f'{value:.3f}'
