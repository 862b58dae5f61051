"""`avdet bench latency`: latency of tracks, with the real nodes running."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from avdet_ros.cli.bench_options import ModelFile, ResultsFile, RigFile, write_results
from avdet_ros.cli.console import console, progress_bars


def latency(
    model: ModelFile = None,
    rig: RigFile = None,
    seconds: Annotated[float, typer.Option(help='How long to measure at each rate.')] = 60,
    beside: Annotated[
        Path | None,
        typer.Option(help='Checkout of another commit; its nodes are measured too, in turn.'),
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option(help='Launch argument as name:=value; may be repeated.')
    ] = None,
    composed: Annotated[
        bool,
        typer.Option(help='Measure capture, detector and tracker in one process too, in turn.'),
    ] = False,
    turns: Annotated[
        int, typer.Option(help='How many times to run each of them at each rate.')
    ] = 1,
    out: ResultsFile = None,
) -> None:
    """Run the real nodes at 10 and 20 Hz and print the latency of tracks, step by step."""
    from avdet_ros.bench.step_costs import machine

    check_seconds(seconds)
    write_results(
        out,
        {
            'machine': machine(),
            **show_latency(model, rig, seconds, beside, turns, given, composed),
        },
    )


def check_seconds(seconds: float) -> None:
    """Reject a duration that is too short for percentiles, or far too long.

    Raises:
        AvdetError: the duration is out of range.
    """
    from avdet_ros.errors import AvdetError

    if not 2 <= seconds <= 3600:
        raise AvdetError(f'seconds: expected 2 to 3600, found {seconds:g}')


def show_latency(
    model: Path | None,
    rig: Path | None,
    seconds: float,
    beside: Path | None = None,
    turns: int = 1,
    given: list[str] | None = None,
    composed: bool = False,
) -> dict[str, Any]:
    """Measure and print latencies and loads; return the results for JSON."""
    from dataclasses import asdict
    import tempfile

    from avdet_ros.bench.latency import (
        RATES_HZ,
        load_table,
        pipeline_table,
        run_pipeline,
        write_drive,
    )
    from avdet_ros.bench.latency_budget import budget_table
    from avdet_ros.errors import AvdetError
    from avdet_ros.graph import parse_arguments
    from avdet_ros.paths import DEFAULT_MODEL, share
    from avdet_ros.rig import load_rig
    from avdet_ros.sources.simulated import DEMO_SEED
    from avdet_ros.supervisor import require_ros

    if beside is not None and not (beside / 'avdet_ros' / 'nodes').is_dir():
        raise AvdetError(
            f'--beside {beside}: expected a checkout with avdet_ros/nodes, found none'
        )
    launch_arguments = parse_arguments(given or [])
    require_ros()
    model = model or share(DEFAULT_MODEL)
    progress = progress_bars()
    results = []
    with tempfile.TemporaryDirectory(prefix='avdet-') as folder:
        sound = Path(folder) / 'drive.wav'
        with progress.step('rendering a drive'):
            write_drive(sound, load_rig(rig), DEMO_SEED)
        forms: list[tuple[Path | None, dict[str, str]]] = [(None, launch_arguments)]
        forms += [(None, {**launch_arguments, 'composed': 'true'})] if composed else []
        forms += [] if beside is None else [(beside.absolute(), {})]
        for rate_hz in RATES_HZ:
            for code, arguments in forms * turns:
                with progress.step(f'{code or "the nodes"} at {rate_hz:g} Hz for {seconds:g} s'):
                    results.append(
                        run_pipeline(model, rate_hz, seconds, sound, rig, code, **arguments)
                    )
    console().print(pipeline_table(results))
    for result in results:
        if result.steps:
            console().print(budget_table(result.rate_hz, result.steps, result.form))
    console().print(load_table(results))
    return {'pipeline': [asdict(result) for result in results]}
