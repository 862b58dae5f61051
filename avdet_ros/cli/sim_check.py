"""`avdet sim check`: compare the simulated sound with physics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avdet_ros.cli.console import console, progress_bars

if TYPE_CHECKING:
    from avdet_ros.rig import Rig


def simulate_check(
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    speed: Annotated[
        bool, typer.Option('--speed', help='Measure the time to generate windows and drives too.')
    ] = False,
    quick: Annotated[
        bool,
        typer.Option(
            '--quick', help='Only compare quick rendering of windows with exact rendering.'
        ),
    ] = False,
) -> None:
    """Measure the simulated sound and compare it with closed forms and standards.

    Also counts the visible vehicles in drives. The table is Markdown, as in docs/simulation.md.
    """
    from avdet_ros.errors import AvdetError
    from avdet_ros.rig import load_rig
    from avdet_ros.simulation.check import check, render_factor

    loaded = load_rig(rig)
    progress = progress_bars()
    if quick:
        _quick(loaded)
        return
    found = []
    with progress.step('measuring') as advance:
        for line in check(loaded):
            found.append(line)
            advance()
    # Markdown, so that the table can be pasted into a page
    console().print('| quantity | measured | expected | within | by |', soft_wrap=True)
    console().print('|---|---|---|---|---|', soft_wrap=True)
    for line in found:
        console().print(
            f'| {line.quantity} | {line.measured:.4g} {line.unit} | {line.expected:.4g} '
            f'| {line.tolerance:.3g} | {line.source} |',
            soft_wrap=True,
        )
    console().print(
        f'\n{render_factor(loaded):.0f} x real time: 8 microphones, 3 vehicles, one core.',
        soft_wrap=True,
    )
    with progress.step('counting'):
        lines = _traffic(loaded)
    _print(lines)
    if speed:
        with progress.step('measuring what it costs'):
            lines = _costs(loaded, rig)
        _print(lines)
    wrong = [line.quantity for line in found if not line.passed]
    if wrong:
        raise AvdetError(f'measured and expected differ: {"; ".join(wrong)}')


def _quick(rig: Rig) -> None:
    """Print quantiles over windows of the difference quick to exact, and the time of both."""
    import numpy as np

    from avdet_ros.simulation.quick_check import DRIVES, costs, differences

    progress = progress_bars()
    console().print('| world, windows | what differs | median | 90 % | most |', soft_wrap=True)
    console().print('|---|---|---|---|---|', soft_wrap=True)
    names = {
        'level_db': 'level, dB',
        'bias_db': 'level, mean with its sign, dB',
        'coherence': 'coherence, cells of at least 0.5',
        'phase_us': 'delay between microphones in them, us',
    }
    lines = []
    for world in ('plain', 'furnished'):
        with progress.step(world, len(DRIVES)) as advance:
            found = []
            for seed in DRIVES:
                found += differences(world, rig, [seed])
                advance()
        for name, title in names.items():
            values = np.abs([getattr(each, name) for each in found])
            median, most, worst = np.quantile(values, [0.5, 0.9, 1.0])
            console().print(
                f'| {world}, {len(found)} | {title} | {median:.3f} | {most:.3f} | {worst:.3f} |',
                soft_wrap=True,
            )
        with progress.step(f'{world}, cost'):
            cost = costs(world, rig)
        exact, fast, dense = (s * 1e3 for s in (cost.exact_s, cost.quick_s, cost.dense_s))
        lines.append(
            f'a row of a {world} set: exact {exact:.0f} ms of processor time, quick with three '
            f'arrays a window {fast:.0f} ms: {exact / fast:.1f} times as many; dense '
            f'{dense:.0f} ms: {exact / dense:.1f} times ({cost.windows} windows)'
        )
    _print(lines)


def _print(lines: list[str]) -> None:
    console().print('\n' + '\n'.join(f'- {line}' for line in lines), soft_wrap=True)


def _traffic(rig: Rig) -> list[str]:
    from avdet_ros.simulation.census import DURATION_S, count

    found = count(rig)
    seen, labels = found.seen, found.labels
    manoeuvres = [f'{number} {name}' for name, number in found.manoeuvres.items()]
    settings = [f'{number} {name}' for name, number in found.settings.items()]
    drives = f'{found.drives} drives of {DURATION_S:g} s as `avdet sim drives` makes them'
    at_once = f'{seen.mean():.1f} vehicles seen at once, {seen.min()} to {seen.max()}'
    moving = f'{found.moving.mean():.1f} of them with their engine running'
    labelled = f'{labels.mean():.2f} labels at once, {labels.min()} to {labels.max()}'
    unseen = f'{found.audible_hidden:.0%} of them audible though hidden from the camera'
    return [
        f'{drives}, {found.frames} instants: {at_once}, {moving}',
        f'{labelled}, {unseen}',
        f'manoeuvres: {", ".join(manoeuvres)}; settings: {", ".join(settings)}',
    ]


def _costs(rig: Rig, rig_path: Path | None) -> list[str]:
    from avdet_ros.simulation.speed import PLAN, measure

    cost = measure(rig, rig_path)
    seconds = cost.window_s, cost.pictures_s, cost.frame_s
    window, picture, frame = (f'{each * 1e3:.0f} ms' for each in seconds)
    minutes, pictures, frames = cost.window_s * 1e4 / 120, 2 / cost.pictures_s, 2 / cost.frame_s
    of_window = (
        f'a window with features and labels ({cost.windows} made): {window} of processor time'
    )
    of_instant = f'an instant in RGB, thermal and depth ({cost.frames} made): {picture}'
    of_drive = f'a frame of a drive on disk at {PLAN.fps:g} a second, sound and clips included'
    return [
        f'{of_window}, 10,000 in {minutes:.1f} min on 2 cores',
        f'{of_instant}, {pictures:.0f} a second on 2 cores',
        f'{of_drive}: {frame}, {frames:.1f} a second on 2 cores',
        f"a second of a drive's sound: {cost.sound_s * 1e3:.0f} ms",
    ]
