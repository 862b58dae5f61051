"""`avdet sim windows`: write training windows with labels, without pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.errors import AvdetError


def simulate_windows(
    out: Annotated[
        Path, typer.Argument(help='Folder for the windows; an interrupted run is continued.')
    ],
    windows: Annotated[int, typer.Option(min=1, help='Number of one-second windows.')] = 12000,
    seeds: Annotated[
        str,
        typer.Option(
            help='Seeds of the drives, first:last+1; training 0:100000, validation 100000:200000, '
            'test 200000:300000.'
        ),
    ] = '0:100000',
    jobs: Annotated[int, typer.Option(min=1, help='Number of processes.')] = 2,
    clean: Annotated[bool, typer.Option(help='Simulate an ideal array, without errors.')] = False,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    arrays: Annotated[
        str,
        typer.Option(
            help="rig: the rig file's array (format 1); drawn: a random array for each drive; "
            'held-out: of shapes reserved for tests (both format 3, labels as directions).'
        ),
    ] = 'rig',
    world: Annotated[
        str,
        typer.Option(
            help='plain, furnished (as in avdet sim drives), mixed, or corners (junctions between '
            'buildings where vehicles are about to appear; drawn arrays only).'
        ),
    ] = 'plain',
    quick: Annotated[
        bool, typer.Option(help='Drawn arrays: render quickly, with three arrays per window.')
    ] = False,
    varied: Annotated[
        bool,
        typer.Option(
            help='Drawn arrays: vehicles of many spectra, wet and rough roads, rain, gusts, and '
            'sounds that are not vehicles.'
        ),
    ] = False,
    distractors: Annotated[
        Path | None,
        typer.Option(help='Drawn arrays: folder of recordings to play among the other sounds.'),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(
            help="Drawn arrays: folder of loops to use as the vehicles' sound in half "
            'of the drives.'
        ),
    ] = None,
    empty: Annotated[
        bool,
        typer.Option(
            help='Drawn arrays: no other vehicles, but one other sound in view, 5 dB below to '
            '15 dB above all other sound.'
        ),
    ] = False,
    idling: Annotated[
        bool,
        typer.Option(
            help='Drawn arrays: no moving vehicles, but one vehicle in view that stands with its '
            'engine running.'
        ),
    ] = False,
    dense: Annotated[
        bool,
        typer.Option(
            help='With --quick: mix each window also with the vehicles of another drive, so that '
            'six rendered windows give twelve.'
        ),
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1,
            help='Drawn arrays: keep at most this many windows and delete the oldest, for a '
            'training run that reads them as they are written (avdet train any-array --most).',
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            help='Number of microphone pairs with coherences: 28 (all; default for drawn arrays) '
            "or 12 (neighbours and opposites; default for the rig file's array)."
        ),
    ] = None,
) -> None:
    """Write features and labels of one-second windows of simulated drives."""
    from avdet_ros.cli.console import progress_bars
    from avdet_ros.rig import load_rig

    low, colon, high = seeds.partition(':')
    if not (colon and low.isdigit() and high.isdigit()):
        raise AvdetError(f'--seeds: expected two whole numbers like 0:100000, found {seeds!r}')
    bounds = int(low), int(high)
    if arrays == 'rig':
        from avdet_ros.simulation.windows import make_windows

        kinds = quick or varied or distractors or recordings or empty or idling or dense
        if kinds or keep or pairs not in (None, 12):
            raise AvdetError(
                '--quick, --varied, --distractors, --recordings, --empty, --idling, --dense, '
                '--keep, --pairs: expected --arrays drawn or held-out'
            )
        if world != 'plain':
            raise AvdetError(f'--world: expected plain with --arrays rig, found {world!r}')
        made = make_windows(out, windows, bounds, jobs, not clean, load_rig(rig))
    else:
        from avdet_ros.simulation.array_windows import WindowPlan
        from avdet_ros.simulation.window_shards import make_array_windows

        if clean:
            raise AvdetError('--clean: expected --arrays rig; drawn arrays have drawn errors')
        plan = WindowPlan(
            world,
            arrays,
            windows_a_drive=6 if world == 'corners' else WindowPlan.windows_a_drive,
            arrays_a_window=3 if quick else 1,
            quick=quick,
            varied=varied,
            distractors=str(distractors.resolve()) if distractors else '',
            pairs=WindowPlan.pairs if pairs is None else pairs,
            recordings=str(recordings.resolve()) if recordings else '',
            empty=empty,
            idling=idling,
            dense=dense,
        )
        made = make_array_windows(out, windows, bounds, jobs, plan, load_rig(rig), keep)
    with progress_bars().step('windows', windows) as advance:
        for done in made:
            advance(done)
