"""`avdet eval bearings`: measure a model in every condition that the pages report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from avdet_ros.evaluation.bearing_study.run import Request


def bearings(
    model: Annotated[
        Path | None, typer.Option(help='ONNX model; the default is models/student.onnx.')
    ] = None,
    name: Annotated[
        str, typer.Option(help='Name of the model in the tables; default: the name of the file.')
    ] = '',
    out: Annotated[
        Path,
        typer.Option(help='Folder of the scores; models measured earlier stay in the tables.'),
    ] = Path('out/bearings'),
    only: Annotated[
        list[str] | None,
        typer.Option(
            help='Measure only this condition, e.g. plain-kept, furnished, shape; may be repeated.'
        ),
    ] = None,
    known: Annotated[
        str,
        typer.Option(
            help='Give a model for any array the true values of each drive, for separate rows: '
            'speed, or "speed and air".'
        ),
    ] = '',
    drives: Annotated[int, typer.Option(help='Maximum number of drives in a condition.')] = 1_000,
    quiet_minutes: Annotated[
        float, typer.Option(help='Maximum minutes on roads without vehicles.')
    ] = 2.0,
    other_minutes: Annotated[
        float, typer.Option(help='The same with another sound source in view, per level.')
    ] = 3.2,
    early_drives: Annotated[
        int, typer.Option(help='Maximum number of drives at blind corners.')
    ] = 20,
    cache: Annotated[Path, typer.Option(help='Folder that keeps rendered windows.')] = Path(
        'out/windows'
    ),
    cache_gb: Annotated[
        float,
        typer.Option(
            help='Maximum size of --cache; 0 keeps nothing. The oldest windows go first.'
        ),
    ] = 8.0,
    pages: Annotated[
        Path | None,
        typer.Option(help='Write the tables into arrays.md and hearing.md in this folder.'),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help='Draw what calibrating an array changes into this PNG file.'),
    ] = None,
    jobs: Annotated[int, typer.Option(help='Number of processes.')] = 1,
) -> None:
    """Measure how well a model finds directions, in every world and array that docs/ reports.

    Results that already exist for the same settings are reused, so an interrupted study continues
    where it stopped.

        avdet eval bearings --model out/student.onnx --name new --jobs 2 --pages docs
    """
    import shlex

    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation.bearing_study.assumptions import check_known
    from avdet_ros.evaluation.bearing_study.conditions import chosen, read_study, run_study
    from avdet_ros.evaluation.bearing_study.pages import write_pages
    from avdet_ros.evaluation.bearing_study.run import Request
    from avdet_ros.evaluation.bearing_study.tables import main_table
    from avdet_ros.paths import DEFAULT_MODEL, share
    from avdet_ros.simulation.conditions import Condition

    for option, value, low, high in (
        ('--drives', drives, 1, 10_000),
        ('--quiet-minutes', quiet_minutes, 0, 600),
        ('--other-minutes', other_minutes, 0, 600),
        ('--early-drives', early_drives, 0, 1_000),
        ('--cache-gb', cache_gb, 0, 10_000),
        ('--jobs', jobs, 1, 1024),
    ):
        if not low <= value <= high:
            raise AvdetError(f'{option}: expected {low} to {high}, found {value:g}')
    conditions = chosen(only or [])
    request = Request(
        model=model or share(DEFAULT_MODEL),
        name=name,
        condition=Condition(),
        known=check_known(known),
        drives=drives,
        quiet_minutes=quiet_minutes,
        other_minutes=other_minutes,
        early_drives=early_drives,
        cache=cache if cache_gb else None,
        cache_bytes=round(cache_gb * 1e9),
        jobs=jobs,
    )
    if picture is not None:
        _draw(picture, request)
        console().print(f'picture in {picture}')
    notes = run_study(request, out, list(conditions), progress_bars())
    study = read_study(out)
    for key, measured in study.items():
        if key in conditions:
            console().print(main_table(measured['rows'], measured['title']))
    for note in dict.fromkeys(notes):
        console().print(note, style='yellow')
    console().print(f'scores in {out}')
    if pages is not None:
        # Readers of the pages do not need the paths of files on this machine.
        words = ['--model', request.model.name, '--name', name or request.model.stem]
        words += ['--pages', 'docs']
        command = shlex.join(['avdet', 'eval', 'bearings', *words])
        for page in write_pages(study, pages, command):
            console().print(f'tables in {page}')


def _draw(path: Path, request: Request) -> None:
    """Draw the steered response of a passing car: uncalibrated, calibrated, true geometry."""
    from avdet_ros.cli.console import progress_bars
    from avdet_ros.evaluation.bearing_study.calibrated_arrays import calibrate_arrays
    from avdet_ros.evaluation.bearing_study.conditions import CONDITIONS
    from avdet_ros.evaluation.bearing_study.steered_picture import (
        PASSING_VEHICLE,
        passing_car,
        steered_picture,
    )
    from avdet_ros.files import write_atomically
    from avdet_ros.rig import load_rig
    from avdet_ros.simulation.conditions import true_array, true_rig

    rig = load_rig()
    studied = CONDITIONS['vehicles']
    condition = replace(studied.condition, vehicle=PASSING_VEHICLE, vehicles=1)
    minutes = studied.calibrate_minutes
    arrays = calibrate_arrays(
        condition, minutes, rig, request.cache, request.cache_bytes, progress=progress_bars()
    )
    scene = passing_car(rig)
    png = steered_picture(
        scene,
        {
            'as in the rig file': rig,
            f'after {minutes:g} minutes of driving': arrays[PASSING_VEHICLE].rig,
            'as the array is': true_rig(rig, true_array(scene)),
        },
    )
    with write_atomically(path) as file:
        file.write(png)
