"""`avdet sim drives`: write drives with pictures, sound and truth, or a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    out: Annotated[
        Path | None, typer.Argument(help='Folder for the drives: new, empty or interrupted.')
    ] = None,
    drives: Annotated[int, typer.Option(help='Number of drives.')] = 40,
    minutes: Annotated[float, typer.Option(help='Length of a drive, minutes.')] = 2.0,
    seed: Annotated[
        int, typer.Option(help='Random seed; the same seed gives the same drives.')
    ] = 7,
    fps: Annotated[float, typer.Option(help='Pictures per second.')] = 2.0,
    jobs: Annotated[int, typer.Option(help='Number of processes; 0: one per core.')] = 0,
    clips: Annotated[
        bool, typer.Option(help='Write one second of sound per frame as eight files, as in MAVD.')
    ] = True,
    clean_too: Annotated[
        bool, typer.Option(help="Write each drive's sound without the array's errors, too.")
    ] = False,
    sound: Annotated[
        bool,
        typer.Option(
            help='Write the sound; drives without it are for teachers, which need only pictures.'
        ),
    ] = True,
    daytime: Annotated[str, typer.Option(help='day, night, or all (half of each).')] = 'all',
    recordings: Annotated[
        Path | None, typer.Option(help='Folder of loops engine*.wav, tyre*.wav to use as sources.')
    ] = None,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    contact_sheet: Annotated[
        Path | None, typer.Option(help='Write only a picture of all modalities here, no drives.')
    ] = None,
) -> None:
    """Write simulated drives in the MAVD layout."""
    import os
    import shlex

    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.errors import AvdetError

    if contact_sheet is not None:
        from avdet_ros.simulation.pictures.contact_sheet import write_contact_sheet

        with progress_bars().step('painting'):
            write_contact_sheet(contact_sheet, rig)
        console().print(f'{contact_sheet}: {contact_sheet.stat().st_size / 1e3:.0f} kB')
        return
    if out is None:
        raise AvdetError('avdet sim drives: expected a folder for the drives, found none')
    cores = os.cpu_count() or 1
    if not 0 <= jobs <= 256:
        raise AvdetError(f'jobs: expected 0 to 256, found {jobs}')

    from avdet_ros.simulation.dataset_card import write_card
    from avdet_ros.simulation.drive import prepare, write_splits
    from avdet_ros.simulation.drive_run import write_drives
    from avdet_ros.simulation.plan import Plan

    loops = str(recordings.resolve()) if recordings else ''
    plan = Plan(drives, minutes, seed, fps, clips and sound, clean_too, loops, sound, daytime)
    missing = prepare(out, plan, rig)
    frames = len(plan.times_s())
    done = drives - len(missing)
    if done:
        console().print(f'{done} of {drives} drives are there already')
    size = plan.needed_bytes() / 1e9
    console().print(f'{drives} drives of {frames} frames, about {size:.2g} GB in all')
    jobs = min(jobs or cores, max(len(missing), 1))
    write_drives(out, plan, missing, jobs, rig, progress_bars())
    split_frames = write_splits(out, plan)
    options = [f'--drives {drives} --minutes {minutes:g} --seed {seed} --fps {fps:g}']
    options += ['' if sound else '--no-sound', '' if plan.clips or not sound else '--no-clips']
    options += ['--clean-too' if clean_too else '']
    options += [f'--daytime {daytime}' if daytime != 'all' else '']
    options += [f'--recordings {shlex.quote(str(recordings))}' if recordings else '']
    options += [f'--rig {shlex.quote(str(rig))}' if rig else '']
    write_card(out, plan, ' '.join(['avdet sim drives', out.name, *filter(None, options)]))
    counts = ', '.join(f'{name} {len(split_frames[f"{name}_all.txt"])}' for name in _SPLITS)
    console().print(f'{out}: frames {counts}')


_SPLITS = ('train', 'val', 'test')
