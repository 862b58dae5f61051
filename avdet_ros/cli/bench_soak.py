"""`avdet bench soak`: monitor the running graph over an hour of live sound."""

from __future__ import annotations

from typing import Annotated

import typer

from avdet_ros.cli.bench_options import ModelFile, Page, RigFile, sound_and_model
from avdet_ros.cli.console import console, progress_bars


def soak(
    minutes: Annotated[float, typer.Option(min=0.2, max=10_000, help='Length of the run.')] = 60.0,
    drift_ppm: Annotated[
        float,
        typer.Option(
            min=-400, max=400, help="How much slower the device's clock runs, parts per million."
        ),
    ] = 100.0,
    model: ModelFile = None,
    rig: RigFile = None,
    composed: Annotated[
        bool, typer.Option(help='Run capture, detector and tracker in one process.')
    ] = False,
    given: Annotated[
        list[str] | None, typer.Option(help='Launch argument as name:=value; may be repeated.')
    ] = None,
    out: Page = None,
) -> None:
    """Run the nodes for an hour; monitor memory, files, threads, losses, latency and stamps.

    The nodes receive a simulated drive in a loop, at 10 windows per second, from a virtual
    eight-channel device (needs pulseaudio). The device's clock is off by --drift-ppm. Every sample
    carries its number, so that stamps can be compared with the true time.
    """
    from avdet_ros.bench.doc_section import write_section
    from avdet_ros.bench.soak import run_soak, soak_markdown, soak_table
    from avdet_ros.bench.step_costs import machine
    from avdet_ros.graph import parse_arguments
    from avdet_ros.supervisor import require_ros

    arguments = parse_arguments(given or [])
    require_ros()
    progress = progress_bars()
    with progress.step('rendering a drive'):
        sound, path = sound_and_model(rig, model)
    arguments |= {'composed': 'true'} if composed else {}
    found = run_soak(sound, path, minutes, drift_ppm * 1e-6, progress, **arguments)
    console().print(soak_table(found))
    if out:
        form = '--composed ' if composed else ''
        form += ''.join(f'--given {argument} ' for argument in given or [])
        command = f'avdet bench soak --minutes {minutes:g} {form}--out {out}'
        write_section(out, 'soak', soak_markdown(found, machine(), command))
        console().print(f'written into {out}')
