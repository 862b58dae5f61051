"""`avdet eval model --world`: measure how well a model finds directions."""

from __future__ import annotations

from pathlib import Path


def evaluate_bearings(
    model: Path | None,
    world: str | None,
    array: str | None,
    one_vehicle: int | None,
    vehicles: int,
    family: str,
    calibrate_minutes: float,
    known: str,
    drives: int,
    windows: int,
    seed_from: int,
    quiet_minutes: float,
    other_minutes: float,
    distractors: Path | None,
    early_drives: int,
    baselines: bool,
    recordings: Path | None,
    rig: Path | None,
    tracker: str | None,
    cache: Path,
    cache_gb: float,
    jobs: int,
    out: Path,
) -> None:
    """Measure, print tables and write JSON; the arguments are the command's options."""
    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation.bearing_study import tables
    from avdet_ros.evaluation.bearing_study.assumptions import check_known
    from avdet_ros.evaluation.bearing_study.run import Request, measure
    from avdet_ros.evaluation.reports.tables import write_json
    from avdet_ros.paths import DEFAULT_MODEL, share
    from avdet_ros.simulation.conditions import USUAL_ARRAY, Condition
    from avdet_ros.tracking import DEFAULT_TRACKER

    for name, value, low, high in (
        ('--windows', windows, 1, 100),
        ('--quiet-minutes', quiet_minutes, 0, 600),
        ('--other-minutes', other_minutes, 0, 600),
        ('--early-drives', early_drives, 0, 1_000),
        ('--calibrate-minutes', calibrate_minutes, 0, 60),
        ('--cache-gb', cache_gb, 0, 10_000),
        ('--jobs', jobs, 1, 1024),
    ):
        if not low <= value <= high:
            raise AvdetError(f'{name}: expected {low} to {high}, found {value:g}')
    world = world or 'plain'
    result = measure(
        Request(
            model=model or share(DEFAULT_MODEL),
            condition=Condition(
                world,
                array or USUAL_ARRAY.get(world, ''),
                one_vehicle,
                family=family,
                vehicles=vehicles,
            ),
            drives=drives,
            windows=windows,
            calibrate_minutes=calibrate_minutes,
            known=check_known(known),
            seed_from=seed_from,
            quiet_minutes=quiet_minutes,
            other_minutes=other_minutes,
            sounds=distractors,
            early_drives=early_drives,
            baselines=baselines,
            recordings=recordings,
            rig_path=rig,
            tracker=tracker or DEFAULT_TRACKER,
            cache=cache if cache_gb else None,
            cache_bytes=round(cache_gb * 1e9),
            jobs=jobs,
        ),
        progress_bars(),
    )
    console().print(tables.main_table(result.rows, result.title))
    console().print(tables.parts_table(result.rows))
    for table in (tables.threshold_table(result.rows), tables.range_table(result.rows)):
        if table is not None:
            console().print(table)
    for note in result.notes:
        console().print(note, style='yellow')
    content = {'title': result.title, 'settings': result.settings, 'rows': result.rows}
    write_json(out, {**content, 'notes': result.notes})
    console().print(f'results in {out}')
