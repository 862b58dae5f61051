"""`avdet sim windows`: training windows with labels, without pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.errors import AvdetError


def simulate_windows(
    out: Annotated[
        Path, typer.Argument(help='Folder of the set; an interrupted one is continued.')
    ],
    windows: Annotated[int, typer.Option(min=1, help='Number of one-second windows.')] = 12000,
    seeds: Annotated[
        str,
        typer.Option(
            help='Seeds of the drives, first:last+1; training 0:100000, validation 100000:200000, '
            'test 200000:300000'
        ),
    ] = '0:100000',
    jobs: Annotated[int, typer.Option(min=1, help='Processes.')] = 2,
    clean: Annotated[bool, typer.Option(help='Simulate an ideal array, without errors.')] = False,
    rig: Annotated[Path | None, typer.Option(help='Rig file; else the example.')] = None,
    arrays: Annotated[
        str,
        typer.Option(
            help="rig: the rig file's (format 1); drawn: another for each drive, held-out: of "
            'shapes kept for tests (format 3, labels as directions)'
        ),
    ] = 'rig',
    world: Annotated[
        str,
        typer.Option(
            help='plain, furnished as avdet sim drives makes them, mixed, or corners: junctions '
            'between buildings, at which vehicles are about to come out; drawn arrays'
        ),
    ] = 'plain',
    quick: Annotated[
        bool, typer.Option(help='render drawn arrays the quick way, three to a window')
    ] = False,
    varied: Annotated[
        bool,
        typer.Option(
            help='drawn arrays: vehicles of many spectra, wet and rough roads, rain, gusts, and '
            'other sounds that are no vehicles'
        ),
    ] = False,
    distractors: Annotated[
        Path | None,
        typer.Option(help='folder of recordings to play among the other sounds; drawn arrays'),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(
            help="folder of loops that are the vehicles' sound in half of the drives; drawn arrays"
        ),
    ] = None,
    empty: Annotated[
        bool,
        typer.Option(
            help='drawn arrays: nobody else on the road, and one other sound in view, 5 dB below '
            'to 15 dB above all the rest'
        ),
    ] = False,
    idling: Annotated[
        bool,
        typer.Option(
            help='drawn arrays: nobody drives, and one vehicle in view stands with its engine '
            'running'
        ),
    ] = False,
    dense: Annotated[
        bool,
        typer.Option(
            help='with --quick: each window is also heard with the vehicles of another drive, '
            'which makes twelve of six that are rendered'
        ),
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1,
            help='delete the oldest windows while there are more than so many: for a training '
            'that takes them in as they come (avdet train any-array --most); drawn arrays',
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            help='pairs of microphones that have coherences: 28 (all) or 12 (neighbours and '
            "opposites); drawn arrays have 28, the rig file's 12"
        ),
    ] = None,
) -> None:
    """Write one-second windows of simulated drives: features and labels."""
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
