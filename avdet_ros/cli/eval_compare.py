"""`avdet eval compare`: compare two models on the same drives, with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avdet_ros.cli.console import console, progress_bars

if TYPE_CHECKING:
    from rich.table import Table

    from avdet_ros.detection.session import Detector
    from avdet_ros.evaluation.comparison.run import Outcome, PairedRecords
    from avdet_ros.rig import Rig


def compare(
    a: Annotated[Path, typer.Argument(help='ONNX model.')],
    b: Annotated[Path, typer.Argument(help='ONNX model.')],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help='Bag or folder in the MAVD layout; may be repeated. By default, drives are '
            'simulated.'
        ),
    ] = None,
    split: Annotated[str, typer.Option(help='Split of a folder: train, val or test.')] = 'test',
    drives: Annotated[int, typer.Option(help='Number of simulated drives.')] = 20,
    seconds: Annotated[float, typer.Option(help='Length of a simulated drive.')] = 20.0,
    seed_from: Annotated[
        int, typer.Option(help='Seed of the first drive: 100000 validation, 200000 test.')
    ] = 150_000,
    rate: Annotated[float, typer.Option(help='Windows per second of simulated drives.')] = 10.0,
    tracker: Annotated[str | None, typer.Option(help='Tracker for both models.')] = None,
    resamples: Annotated[int, typer.Option(help='Number of bootstrap samples.')] = 500,
    pictures: Annotated[
        int, typer.Option(help='How many pictures to write, of the frames that differ most.')
    ] = 8,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    jobs: Annotated[int, typer.Option(help='Number of processes, for simulated drives.')] = 1,
    out: Annotated[Path, typer.Option(help='Folder of the results.')] = Path('out/compare'),
) -> None:
    """Compare two models: metrics with intervals, latency, size, and a verdict.

    Bags without a topic truth have no metrics; the two models are compared with each other.

        avdet eval compare models/student.onnx runs/new/student.onnx --drives 20

        avdet eval compare old.onnx new.onnx --data drives/monday --data drives/tuesday.mcap
    """
    from dataclasses import asdict

    import numpy as np

    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation.comparison import run as runs
    from avdet_ros.evaluation.reports import tables as report
    from avdet_ros.evaluation.runs.on_simulation import check_request, split_of
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
    first, second = loaded
    names = first, second
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

    milliseconds = {
        name: [
            float(value)
            for value in np.percentile(
                np.concatenate([record.milliseconds[name] for record in pair.all_records]),
                [50, 99],
            )
        ]
        for name in names
    }
    medians = [p50 for p50, _ in milliseconds.values()]
    console().print(_table(pair.title, outcome, loaded, medians))
    agreed = outcome.agreement
    console().print(
        f'with each other: {report.number(agreed.same, "{:.0%}")} of the boxes alike in '
        f'{agreed.windows} windows, mean IoU {report.number(agreed.iou, "{:.2f}")}, centres '
        f'{report.number(agreed.shift_px, "{:.1f}")} px apart',
    )
    for note in pair.notes:
        console().print(note, style='yellow', markup=False)
    console().print(outcome.verdict)
    files = _save_pictures(out, loaded_rig, pair, outcome, names)
    if data:
        settings: dict[str, Any] = {'data': [str(path) for path in data]}
    else:
        settings = {
            'drives': drives,
            'seconds': seconds,
            'seeds': [seeds[0], seeds[-1]],
            'split': split_of(seeds),
            'rate_hz': rate,
        }
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
                    'ms_p50': milliseconds[name][0],
                    'ms_p99': milliseconds[name][1],
                }
                for name, detector in loaded.items()
            ],
            'metrics': {name: asdict(row) for name, row in outcome.metrics.items()},
            'agreement': asdict(agreed),
            'verdict': outcome.verdict,
            'frames': files,
        },
    )
    console().print(f'results and {len(files)} pictures in {out}')


def _table(
    title: str, outcome: Outcome, loaded: Mapping[str, Detector], medians_ms: Sequence[float]
) -> Table:
    """Make the table of metrics, boxes, time and size, one row each."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify='left')
    for heading in ('', *loaded, 'difference', '95 % of it', ''):
        table.add_column(heading, justify='right' if heading else 'left')
    for name, row in outcome.metrics.items():
        cells = (
            f'{value:.3f} ({low:.3f} to {high:.3f})'
            for value, (low, high) in ((row.a, row.interval_a), (row.b, row.interval_b))
        )
        better = row.difference > 0
        verdict = Text('better', 'green') if better else Text('worse', 'red')
        span = '{:+.3f} to {:+.3f}'.format(*row.interval)
        table.add_row(
            name,
            *cells,
            f'{row.difference:+.3f}',
            span,
            verdict if row.beyond_noise else 'noise',
        )
    megabytes = [detector.size_bytes / 1e6 for detector in loaded.values()]
    for name, (first, second) in (
        ('boxes a window', outcome.agreement.boxes),
        ('ms a window, median', medians_ms),
        ('MB', megabytes),
    ):
        table.add_row(name, f'{first:.2f}', f'{second:.2f}', f'{second - first:+.2f}', '', '')
    return table


def _save_pictures(
    out: Path, rig: Rig, pair: PairedRecords, outcome: Outcome, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Write a picture of each frame that differs; return their entries for JSON."""
    from avdet_ros.evaluation.reports.pictures import draw_frame, save_picture

    files = []
    for rank, frame in enumerate(outcome.frames, start=1):
        record = outcome.records[frame.record]
        stamp_s = record.stamps_s[frame.index]
        boxes = {name: record.detections[name][frame.index] for name in names}
        caption = f'{record.name}, {stamp_s:.1f} s: {names[1]} {frame.advantage:+d}'
        picture = pair.picture(record, frame.index)
        path = out / f'differ_{rank}.png'
        save_picture(draw_frame(rig, record.truth[frame.index], boxes, caption, picture), path)
        files.append(
            {
                'file': path.name,
                'drive': record.name,
                'stamp_s': stamp_s,
                'advantage': frame.advantage,
            }
        )
    return files
