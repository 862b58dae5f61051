"""`avdet bench`: what a window costs on this machine, and how late tracks are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bench(
    context: typer.Context,
    model: Annotated[
        Path | None, typer.Option(help='ONNX model; the default is models/student.onnx.')
    ] = None,
    rig: Annotated[Path | None, typer.Option(help='Rig file.')] = None,
    runs: Annotated[int, typer.Option(help='Repetitions of each step.')] = 200,
    threads: Annotated[int | None, typer.Option(help='Threads of one inference.')] = None,
    pipeline: Annotated[
        bool, typer.Option(help='Run the real nodes too, at 10 and at 20 Hz.')
    ] = True,
    seconds: Annotated[
        float, typer.Option(help='How long to listen to the nodes, each rate.')
    ] = 60,
    training: Annotated[
        bool,
        typer.Option(
            '--training',
            help='Measure learning instead: a step, an epoch, loading, memory, and the compact '
            "student's inference beside the paper's.",
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help='With --training: windows to load; without, noise is written first.'),
    ] = None,
    out: Annotated[Path | None, typer.Option(help='Write the results as JSON here.')] = None,
) -> None:
    """Print what features, inference, trackers, messages and the renderer cost here."""
    if context.invoked_subcommand:
        return
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from avdet_ros.bench import step_costs as costs
    from avdet_ros.bench.latency import RATES_HZ, load_table, pipeline_table, run_pipeline
    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation import report
    from avdet_ros.paths import share
    from avdet_ros.rig import load_rig

    if not 5 <= runs <= 100_000:
        raise AvdetError(f'runs: expected 5 to 100000, found {runs}')
    if not 2 <= seconds <= 3600:
        raise AvdetError(f'seconds: expected 2 to 3600, found {seconds:g}')
    console = Console()
    model = model or share('models/student.onnx')
    loaded_rig = load_rig(rig)
    about = costs.machine()
    if training:
        from avdet_ros.cli.bench_training import bench_training

        bench_training(console, loaded_rig, about, threads or 1, data, out)
        return
    with console.status('measuring'):
        steps = costs.window_costs(model, loaded_rig, runs, threads)
        renderer = costs.renderer_speed(loaded_rig)
    title = f'{about["cores"]} cores, load {about["load"]:.1f}, Python {about["python"]}'
    table = Table(title=title, title_justify='left')
    for heading in ('step', 'median ms', 'p99 ms', 'runs'):
        table.add_column(heading, justify='left' if heading == 'step' else 'right')
    for cost in steps:
        table.add_row(cost.step, f'{cost.p50:.3f}', f'{cost.p99:.3f}', str(cost.runs))
    console.print(table)
    console.print(
        f'renderer: {renderer.factor:.1f} x real time, 8 microphones, {renderer.vehicles} '
        f'vehicles (seed {renderer.seed}, {renderer.seconds:g} s)'
    )
    results = []
    if pipeline:
        for rate_hz in RATES_HZ:
            with console.status(f'the nodes at {rate_hz:g} Hz for {seconds:g} s'):
                results.append(run_pipeline(model, rate_hz, seconds, costs.DEMO_SEED, rig))
        console.print(pipeline_table(results))
        console.print(load_table(results))
    if out:
        report.write_json(out, {
            'machine': about, 'steps': [asdict(cost) for cost in steps],
            'renderer': asdict(renderer), 'pipeline': [asdict(result) for result in results],
        })  # fmt: skip
        console.print(f'results in {out}')
