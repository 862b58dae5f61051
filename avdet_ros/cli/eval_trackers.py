"""`avdet eval trackers`: score trackers on the same detections at 5, 10 and 20 Hz."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.files import explain_os_error


def evaluate_trackers(
    model: Annotated[
        Path | None, typer.Option(help='ONNX model; the default is models/student.onnx.')
    ] = None,
    drives: Annotated[int, typer.Option(help='Number of test drives, from seed 200000.')] = 20,
    tuning_drives: Annotated[
        int, typer.Option(help='Number of validation drives, from seed 100000.')
    ] = 20,
    seconds: Annotated[float, typer.Option(help='Length of a drive.')] = 20.0,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    jobs: Annotated[int, typer.Option(help='Number of processes.')] = 1,
    out: Annotated[
        Path, typer.Option(help='Write the page here, with a JSON file next to it.')
    ] = Path('out/trackers.md'),
) -> None:
    """Score our trackers and those of a public library on held-out drives."""
    from rich.markdown import Markdown

    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.detection.session import Detector
    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation.reports import tables as report
    from avdet_ros.evaluation.runs import on_simulation
    from avdet_ros.evaluation.tracks import study as trackers
    from avdet_ros.paths import DEFAULT_MODEL, share
    from avdet_ros.rig import load_rig

    fastest_hz = max(trackers.RATES_HZ)
    first, tuning_first = on_simulation.TEST_SEEDS[0], on_simulation.VALIDATION_SEEDS[0]
    test_seeds = tuple(range(first, first + drives))
    tuning_seeds = tuple(range(tuning_first, tuning_first + tuning_drives))
    for seeds in (test_seeds, tuning_seeds):
        on_simulation.check_request(seeds, seconds, fastest_hz)
    named = f' --model {model}' if model else ''
    model = model or share(DEFAULT_MODEL)
    loaded_rig = load_rig(rig)
    loaded = Detector(model, loaded_rig, threads=1)
    plans = [
        on_simulation.Plan(
            seeds,
            seconds,
            fastest_hz,
            loaded.contract.label_offset_s,
            {model.stem: model},
            None,
            rig,
        )
        for seeds in (tuning_seeds, test_seeds)
    ]
    progress = progress_bars()
    validation, test = (on_simulation.run_on_drives(plan, jobs, progress) for plan in plans)
    if not sum(len(frame) for record in validation for frame in record.truth):
        raise AvdetError('validation drives: expected vehicles to tune on, found none')
    outcomes = trackers.study(validation, test, model.stem, fastest_hz, progress)
    command = (
        f'avdet eval trackers{named} --drives {drives} '
        f'--tuning-drives {tuning_drives} --seconds {seconds:g}'
    )
    description = (
        f'{drives} simulated test drives of {seconds:g} s (seeds {test_seeds[0]} to '
        f'{test_seeds[-1]}), the boxes of `{model.name}` (sha256 {loaded.sha256[:12]}).'
    )
    page = trackers.markdown(outcomes, command, description)
    console().print(Markdown(page))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding='utf-8')
    except OSError as error:
        raise AvdetError(f'cannot write {out}: {explain_os_error(error)}') from error
    report.write_json(
        out.with_suffix('.json'),
        {
            'model': {'file': str(model), 'sha256': loaded.sha256},
            'drives': drives,
            'tuning_drives': tuning_drives,
            'seconds': seconds,
            'outcomes': [outcome.as_dict() for outcome in outcomes],
        },
    )
    console().print(f'page in {out}')
