"""`avdet eval model`: score a model and two baselines on held-out drives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[
        Path | None, typer.Option(help='ONNX model; the default is models/student.onnx.')
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help='Drives in the MAVD layout; by default, drives are simulated.'),
    ] = None,
    split: Annotated[str, typer.Option(help='With --data: train, val or test.')] = 'test',
    daytime: Annotated[str, typer.Option(help='With --data: day, night or all.')] = 'all',
    motion: Annotated[str, typer.Option(help='With --data: static, drive or all.')] = 'all',
    labels: Annotated[
        Path | None,
        typer.Option(help="With --data: folder of the teachers' labels; default: DATA/labels."),
    ] = None,
    drives: Annotated[
        int | None,
        typer.Option(
            help='Number of simulated drives; default: 20 long ones, or 200 with --world.'
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help='Length of a simulated drive.')] = 20.0,
    seed_from: Annotated[
        int, typer.Option(help='Seed of the first drive: 100000 validation, 200000 test.')
    ] = 200_000,
    rate: Annotated[float, typer.Option(help='Windows per second of simulated drives.')] = 10.0,
    tracker: Annotated[
        str | None,
        typer.Option(help='Tracker: ground, iou or motion; default: as in the nodes.'),
    ] = None,
    baselines: Annotated[bool, typer.Option(help='Score the two baselines too.')] = True,
    world: Annotated[
        str | None,
        typer.Option(
            help='Measure bearings instead, on a few windows of many drives in this world: '
            'plain or furnished.'
        ),
    ] = None,
    array: Annotated[
        str | None,
        typer.Option(help='Errors of the array: ideal, kept or neglected; implies --world.'),
    ] = None,
    one_vehicle: Annotated[
        int | None,
        typer.Option(help='Seed of one array that all drives share; implies --world.'),
    ] = None,
    vehicles: Annotated[
        int,
        typer.Option(
            help='With --one-vehicle: number of arrays used in turn, with seeds from that one on.'
        ),
    ] = 1,
    family: Annotated[
        str,
        typer.Option(
            help='With --world: draw a different array of this shape for each drive, e.g. cross.'
        ),
    ] = '',
    calibrate_minutes: Annotated[
        float,
        typer.Option(
            help='With --one-vehicle: add a row with the array calibrated from so many minutes of '
            'other drives.'
        ),
    ] = 0.0,
    known: Annotated[
        str,
        typer.Option(
            help='With --world: give a model for any array the true values of each drive: speed, '
            'or "speed and air".'
        ),
    ] = '',
    windows: Annotated[int, typer.Option(help='With --world: windows per drive.')] = 3,
    quiet_minutes: Annotated[
        float,
        typer.Option(
            help='With --world: minutes of empty roads, to count false vehicles; 0 for none.'
        ),
    ] = 2.0,
    other_minutes: Annotated[
        float,
        typer.Option(
            help='With --world: the same with another sound source in view, at 0 and +10 dB.'
        ),
    ] = 0.0,
    distractors: Annotated[
        Path | None,
        typer.Option(help='With --other-minutes: folder of recordings to use as other sounds.'),
    ] = None,
    early_drives: Annotated[
        int,
        typer.Option(
            help='With --world furnished: number of drives at blind corners, to measure whether '
            'vehicles are detected before they are visible.'
        ),
    ] = 0,
    recordings: Annotated[
        Path | None,
        typer.Option(help="With --world: folder of loops to use as the vehicles' sound."),
    ] = None,
    cache: Annotated[
        Path, typer.Option(help='With --world: folder that keeps rendered windows.')
    ] = Path('out/windows'),
    cache_gb: Annotated[
        float,
        typer.Option(
            help='Maximum size of --cache; 0 keeps nothing. The oldest windows go first.'
        ),
    ] = 8.0,
    rig: Annotated[
        Path | None, typer.Option(help='Rig file; default: that of --data, or the example.')
    ] = None,
    jobs: Annotated[int, typer.Option(help='Number of processes, for simulated drives.')] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help='Write the results as JSON here; default with --world: scores.json.'),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help='Write a report here, as one HTML file that needs no network.'),
    ] = None,
    pictures: Annotated[int, typer.Option(help='Frames to show in the report.')] = 12,
    as_released: Annotated[
        bool,
        typer.Option(
            '--as-released',
            help="Print the metrics as MM-DistillNet's program computes them, too.",
        ),
    ] = False,
) -> None:
    """Score a model, constant boxes and SRP-PHAT on simulated or recorded drives.

    Every metric is broken down by what is known about the data: day or night, standing or driving,
    the number of vehicles, their distance, and whether the camera sees them.

        avdet eval model --drives 20 --report out/report.html

        avdet eval model --data out/drives --split test --report out/report.html

    With --world or --array, it measures how well the model finds directions, on a few windows of
    each of many short drives: average precision of bearings within 3 degrees and recall at one
    false bearing in ten windows, with intervals over drives, by distance and by level.

        avdet eval model --world furnished --array neglected --drives 400 --jobs 2
    """
    import shlex
    import sys

    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.dataset.subsets import Subset
    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation import evaluation_run as runs
    from avdet_ros.evaluation.reports import tables
    from avdet_ros.fields import fill
    from avdet_ros.paths import DEFAULT_MODEL, share
    from avdet_ros.tracking import DEFAULT_TRACKER

    if world is not None or array is not None or one_vehicle is not None:
        from avdet_ros.cli.eval_model_bearings import evaluate_bearings

        for name, value in (('--data', data), ('--report', report)):
            if value is not None:
                raise AvdetError(f'{name}: expected no {name} with --world or --array')
        evaluate_bearings(
            model=model,
            world=world,
            array=array,
            one_vehicle=one_vehicle,
            vehicles=vehicles,
            family=family,
            calibrate_minutes=calibrate_minutes,
            known=known,
            drives=200 if drives is None else drives,
            windows=windows,
            seed_from=seed_from,
            quiet_minutes=quiet_minutes,
            other_minutes=other_minutes,
            distractors=distractors,
            early_drives=early_drives,
            baselines=baselines,
            recordings=recordings,
            rig=rig,
            tracker=tracker,
            cache=cache,
            cache_gb=cache_gb,
            jobs=jobs,
            out=out or Path('scores.json'),
        )
        return
    drives = 20 if drives is None else drives
    if not 0 <= pictures <= 200:
        raise AvdetError(f'pictures: expected 0 to 200, found {pictures}')
    subset = fill(Subset, {'daytime': daytime, 'motion': motion}, 'avdet eval model')
    model = model or share(DEFAULT_MODEL)
    tracker = tracker or DEFAULT_TRACKER
    progress = progress_bars()
    if data is None:
        run = runs.evaluate_seeds(
            model, drives, seconds, seed_from, rate, tracker, baselines, rig, jobs, progress
        )
    else:
        run = runs.evaluate_dataset(
            model, data, split, subset, labels, tracker, baselines, rig, progress
        )
    if report is not None:
        with progress.step('report'):
            runs.write(run, report, shlex.join(['avdet', *sys.argv[1:]]), pictures)
    for result in run.results:
        title = run.title if len(run.results) == 1 else f'{run.title}, against {result.truth}'
        console().print(tables.metrics_table(result.scores, title))
        if as_released:
            console().print(tables.as_released_table(result.scores))
        console().print(tables.breakdown_table(result.scores))
    for note in run.notes:
        console().print(note, style='yellow')
    if out:
        scores = {result.truth: result.scores for result in run.results}
        content = {'settings': run.settings, 'detectors': next(iter(scores.values()))}
        tables.write_json(out, {**content, 'by_truth': scores, 'notes': run.notes})
        console().print(f'results in {out}')
    if report is not None:
        console().print(f'report in {report}, {report.stat().st_size / 1e6:.1f} MB')
