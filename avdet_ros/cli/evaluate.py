"""`avdet evaluate`: a model beside two baselines on held-out drives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[
        Path | None, typer.Option(help='ONNX model; the default is models/student.onnx.')
    ] = None,
    drives: Annotated[int, typer.Option(help='Simulated drives.')] = 20,
    seconds: Annotated[float, typer.Option(help='Length of a drive.')] = 20.0,
    seed_from: Annotated[
        int, typer.Option(help='Seed of the first drive: 100000 validation, 200000 test.')
    ] = 200_000,
    rate: Annotated[float, typer.Option(help='Windows a second.')] = 10.0,
    tracker: Annotated[
        str | None, typer.Option(help='Tracker: iou or motion; the default is the nodes own.')
    ] = None,
    baselines: Annotated[bool, typer.Option(help='Run the two baselines too.')] = True,
    rig: Annotated[Path | None, typer.Option(help='Rig file.')] = None,
    jobs: Annotated[int, typer.Option(help='Processes.')] = 1,
    out: Annotated[Path | None, typer.Option(help='Write the results as JSON here.')] = None,
) -> None:
    """Score a model on held-out simulated drives, beside constant boxes and SRP-PHAT."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    from avdet_ros.audio.features import FrontEnd
    from avdet_ros.detection.session import Detector
    from avdet_ros.evaluation import drives as runner
    from avdet_ros.evaluation import report
    from avdet_ros.evaluation.evaluate import score
    from avdet_ros.paths import share
    from avdet_ros.rig import load_rig
    from avdet_ros.tracking import DEFAULT_TRACKER, IouTracker, make_tracker, tracker_parameters

    console = Console()
    seeds = tuple(range(seed_from, seed_from + drives))
    runner.check_request(seeds, seconds, rate)
    tracker = tracker or DEFAULT_TRACKER
    parameters = tracker_parameters(tracker)
    model = model or share('models/student.onnx')
    loaded_rig = load_rig(rig)
    loaded = Detector(model, loaded_rig, FrontEnd(), threads=1)
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn(),
                  console=console) as progress:  # fmt: skip
        statistics = None
        if baselines:
            task = progress.add_task('labels for the baselines', total=None)
            statistics = runner.training_statistics(loaded_rig)
            progress.update(task, total=1, completed=1)
        plan = runner.Plan(
            seeds=seeds,
            seconds=seconds,
            rate_hz=rate,
            label_offset_s=loaded.contract.label_offset_s,
            models={model.stem: model},
            statistics=statistics,
            rig_path=rig,
        )
        task = progress.add_task('drives', total=drives)
        records = runner.hear_drives(plan, jobs, tick=lambda: progress.advance(task))
    scores = {
        name: score(
            records,
            name,
            loaded_rig,
            IouTracker(start_score=runner.BASELINE_START[name])
            if name in runner.BASELINE_START
            else make_tracker(tracker),
        )
        for name in records[0].detections
    }
    split = runner.whose(seeds)
    title = (
        f'{drives} {split} drives of {seconds:g} s, seeds {seeds[0]} to {seeds[-1]}, '
        f'{rate:g} windows a second, tracker {tracker}'
    )
    console.print(report.metrics_table(scores, title))
    console.print(report.breakdown_table(scores))
    if out:
        about = {
            'drives': drives, 'seconds': seconds, 'seeds': [seeds[0], seeds[-1]], 'split': split,
            'rate_hz': rate, 'tracker': {'name': tracker, **parameters},
            'model': {'file': str(model), 'sha256': loaded.sha256, 'bytes': loaded.size_bytes,
                      'provider': loaded.provider},
        }  # fmt: skip
        report.write_json(out, {'settings': about, 'detectors': scores})
        console.print(f'results in {out}')
