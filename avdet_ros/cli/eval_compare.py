"""`avdet eval compare`: two models on the same drives, with intervals of chance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[Path, typer.Argument(help='ONNX model.')],
    b: Annotated[Path, typer.Argument(help='ONNX model.')],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help='Bag or folder in the MAVD layout; repeat for more. Without, drives are '
            'simulated by seed.'
        ),
    ] = None,
    split: Annotated[str, typer.Option(help='Split of a folder: train, val or test.')] = 'test',
    drives: Annotated[int, typer.Option(help='Simulated drives.')] = 20,
    seconds: Annotated[float, typer.Option(help='Length of a simulated drive.')] = 20.0,
    seed_from: Annotated[
        int, typer.Option(help='Seed of the first drive: 100000 validation, 200000 test.')
    ] = 150_000,
    rate: Annotated[float, typer.Option(help='Windows a second of simulated drives.')] = 10.0,
    tracker: Annotated[str | None, typer.Option(help='Tracker for both.')] = None,
    resamples: Annotated[int, typer.Option(help='Bootstrap samples.')] = 500,
    pictures: Annotated[int, typer.Option(help='Pictures of the frames that differ most.')] = 8,
    rig: Annotated[Path | None, typer.Option(help='Rig file.')] = None,
    jobs: Annotated[int, typer.Option(help='Processes that share simulated drives.')] = 1,
    out: Annotated[Path, typer.Option(help='Folder of the results.')] = Path('out/compare'),
) -> None:
    """Compare two models: metrics with intervals, latency, size, and a verdict.

    Bags without a topic truth have no metrics: there the two are compared with each other.

        avdet eval compare models/student.onnx runs/new/student.onnx --drives 20

        avdet eval compare old.onnx new.onnx --data drives/monday --data drives/tuesday.mcap
    """
    from dataclasses import asdict

    import numpy as np
    from rich.table import Table

    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation import compare_run as runs
    from avdet_ros.evaluation import report
    from avdet_ros.evaluation.on_simulation import check_request, split_of
    from avdet_ros.evaluation.pictures import draw_frame, save_picture
    from avdet_ros.rig import load_rig
    from avdet_ros.tracking import DEFAULT_TRACKER, make_tracker, tracker_parameters

    seeds = tuple(range(seed_from, seed_from + drives))
    if not data:
        check_request(seeds, seconds, rate)
    if not 10 <= resamples <= 100_000:
        raise AvdetError(f'resamples: expected 10 to 100000, found {resamples}')
    tracker = tracker or DEFAULT_TRACKER
    tracker_parameters(tracker)
    loaded_rig = load_rig(rig)
    loaded = runs.load_pair(a, b, loaded_rig)
    names = tuple(loaded)
    progress = progress_bars()
    if data:
        pair = runs.run_on_paths(data, loaded, split, loaded_rig, progress)
    else:
        offset_s = loaded[names[0]].contract.label_offset_s
        models = dict(zip(names, (a, b), strict=True))
        pair = runs.run_on_seeds(models, offset_s, seeds, seconds, rate, rig, jobs, progress)
    with progress.step('bootstrap'):
        outcome = runs.compare_pair(
            pair, names, lambda: make_tracker(tracker), resamples, pictures
        )

    table = Table(title=pair.title, title_justify='left')
    for heading in ('', *names, 'difference', '95 % of it', ''):
        table.add_column(heading, justify='right' if heading else 'left')
    for name, row in outcome.metrics.items():
        span = '{:+.3f} to {:+.3f}'.format(*row.interval)
        cells = (
            f'{value:.3f} ({low:.3f} to {high:.3f})'
            for value, (low, high) in ((row.a, row.interval_a), (row.b, row.interval_b))
        )
        sign = (
            ('[green]better' if row.difference > 0 else '[red]worse')
            if row.beyond_noise
            else 'noise'
        )
        table.add_row(name, *cells, f'{row.difference:+.3f}', span, sign)
    agreed = outcome.agreement
    table.add_row(
        'boxes a window',
        *(f'{value:.2f}' for value in agreed.boxes),
        f'{agreed.boxes[1] - agreed.boxes[0]:+.2f}',
        '',
        '',
    )
    times = {n: np.concatenate([r.milliseconds[n] for r in pair.everything]) for n in names}
    medians, p99 = ([float(np.percentile(times[n], q)) for n in names] for q in (50, 99))
    table.add_row(
        'ms a window, median',
        *(f'{value:.2f}' for value in medians),
        f'{medians[1] - medians[0]:+.2f}',
        '',
        '',
    )
    megabytes = [detector.size_bytes / 1e6 for detector in loaded.values()]
    table.add_row(
        'MB',
        *(f'{value:.2f}' for value in megabytes),
        f'{megabytes[1] - megabytes[0]:+.2f}',
        '',
        '',
    )
    console().print(table)
    console().print(
        f'with each other: {report.number(agreed.same, "{:.0%}")} of the boxes alike in '
        f'{agreed.windows} windows, mean IoU {report.number(agreed.iou, "{:.2f}")}, centres '
        f'{report.number(agreed.shift_px, "{:.1f}")} px apart',
    )
    for note in pair.notes:
        console().print(note, style='yellow', markup=False)
    console().print(outcome.verdict)

    files = []
    for rank, frame in enumerate(outcome.frames):
        record = outcome.records[frame.record]
        stamp_s = record.stamps_s[frame.index]
        boxes = {name: record.detections[name][frame.index] for name in names}
        caption = f'{record.name}, {stamp_s:.1f} s: {names[1]} {frame.advantage:+d}'
        path = out / f'differ_{rank + 1}.png'
        seen = pair.picture(record, frame.index)
        save_picture(draw_frame(loaded_rig, record.truth[frame.index], boxes, caption, seen), path)
        files.append(
            {
                'file': path.name,
                'drive': record.name,
                'stamp_s': stamp_s,
                'advantage': frame.advantage,
            }
        )
    settings = (
        {'data': [str(path) for path in data]}
        if data
        else {
            'drives': drives,
            'seconds': seconds,
            'seeds': [seeds[0], seeds[-1]],
            'split': split_of(seeds),
            'rate_hz': rate,
        }
    )
    report.write_json(
        out / 'compare.json',
        {
            **settings,
            'tracker': tracker,
            'resamples': resamples,
            'notes': pair.notes,
            'models': [
                {
                    'name': name,
                    'file': str(detector.path),
                    'sha256': detector.sha256,
                    'bytes': detector.size_bytes,
                    'ms_p50': p50,
                    'ms_p99': high,
                }
                for (name, detector), p50, high in zip(loaded.items(), medians, p99, strict=True)
            ],
            'metrics': {name: asdict(row) for name, row in outcome.metrics.items()},
            'agreement': asdict(agreed),
            'verdict': outcome.verdict,
            'frames': files,
        },
    )
    console().print(f'results and {len(files)} pictures in {out}')
