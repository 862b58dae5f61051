"""`avdet bench faults`: inject faults into the running graph and time its recovery."""

from __future__ import annotations

from typing import Annotated

import typer

from avdet_ros.cli.bench_options import ModelFile, Page, RigFile, sound_and_model
from avdet_ros.cli.console import console, progress_bars


def faults(
    only: Annotated[
        str, typer.Option(help='Only these faults, separated by commas; --list shows the names.')
    ] = '',
    list_them: Annotated[bool, typer.Option('--list', help='List the faults and exit.')] = False,
    model: ModelFile = None,
    rig: RigFile = None,
    out: Page = None,
) -> None:
    """Inject faults that occur on vehicles into the running nodes, and time the recovery.

    Runs the nodes on a virtual eight-channel device (needs pulseaudio). Kills and hangs the sound
    server, removes channels, kills nodes, loads all cores, moves /clock, sends malformed
    messages, fills a disk and sends SIGINT. Prints for each fault what the nodes reported, how
    long recovery took, and how many windows, samples and identities were lost. Takes about four
    minutes.
    """
    from avdet_ros.bench.doc_section import write_section
    from avdet_ros.bench.fault_table import NAMES, fault_markdown, fault_table, run_faults
    from avdet_ros.bench.step_costs import machine
    from avdet_ros.errors import AvdetError
    from avdet_ros.supervisor import require_ros

    if list_them:
        console().print('\n'.join(NAMES))
        return
    chosen = [name.strip() for name in only.split(',') if name.strip()] or list(NAMES)
    if unknown := [name for name in chosen if name not in NAMES]:
        raise AvdetError(f'fault: expected one of {", ".join(NAMES)}, found {unknown[0]!r}')
    require_ros()
    progress = progress_bars()
    with progress.step('rendering a drive'):
        sound, path = sound_and_model(rig, model)
    outcomes = run_faults(sound, path, chosen, progress)
    console().print(fault_table(outcomes))
    if out:
        command = f'avdet bench faults --out {out}' + (f' --only {only!r}' if only else '')
        write_section(out, 'faults', fault_markdown(outcomes, machine(), command))
        console().print(f'written into {out}')
