"""`avdet bench steps`: time of each processing step of a window on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from avdet_ros.cli.bench_options import ModelFile, ResultsFile, RigFile, write_results
from avdet_ros.cli.console import console, progress_bars


def steps(
    model: ModelFile = None,
    rig: RigFile = None,
    runs: Annotated[int, typer.Option(help='Repetitions of each step.')] = 200,
    threads: Annotated[int | None, typer.Option(help='Threads per inference.')] = None,
    out: ResultsFile = None,
) -> None:
    """Time features, each model, steering, trackers, messages and the renderer."""
    check_runs(runs)
    write_results(out, show_steps(model, rig, runs, threads))


def check_runs(runs: int) -> None:
    """Reject a number of repetitions that is too small for percentiles, or far too large.

    Raises:
        AvdetError: the number is out of range.
    """
    from avdet_ros.errors import AvdetError

    if not 5 <= runs <= 100_000:
        raise AvdetError(f'runs: expected 5 to 100000, found {runs}')


def show_steps(
    model: Path | None, rig: Path | None, runs: int, threads: int | None
) -> dict[str, Any]:
    """Measure and print the steps; return the results for JSON."""
    from dataclasses import asdict

    from rich.table import Table

    from avdet_ros.bench import step_costs
    from avdet_ros.paths import DEFAULT_MODEL, share
    from avdet_ros.rig import load_rig

    loaded_rig, about = load_rig(rig), step_costs.machine()
    model = model or share(DEFAULT_MODEL)
    with progress_bars().step('measuring'):
        costs = step_costs.window_costs(model, loaded_rig, runs, threads)
        shipped = sorted(share('models').glob('*.onnx'))
        files = [*shipped, *([model] if model.resolve() not in shipped else [])]
        costs += step_costs.model_costs(files, loaded_rig, runs)
        renderer = step_costs.renderer_speed(loaded_rig)
    title = f'{about["cores"]} cores, load {about["load"]:.1f}, Python {about["python"]}'
    table = Table(title=title, title_justify='left')
    for heading in ('step', 'median ms', 'p99 ms', 'least CPU ms', 'runs'):
        table.add_column(heading, justify='left' if heading == 'step' else 'right')
    for cost in costs:
        times = (f'{ms:.3f}' for ms in (cost.p50, cost.p99, cost.least_cpu))
        table.add_row(cost.step, *times, str(cost.runs))
    console().print(table)
    console().print(
        f'renderer: {renderer.factor:.1f} x real time, 8 microphones, {renderer.vehicles} '
        f'vehicles (seed {renderer.seed}, {renderer.seconds:g} s)'
    )
    return {
        'machine': about,
        'steps': [asdict(cost) for cost in costs],
        'renderer': asdict(renderer),
    }
