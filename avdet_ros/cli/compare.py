"""`avdet compare`: two models on the same drives, with what noise alone would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[Path, typer.Argument(help='ONNX model.')],
    b: Annotated[Path, typer.Argument(help='ONNX model.')],
    drives: Annotated[int, typer.Option(help='Simulated drives.')] = 20,
    seconds: Annotated[float, typer.Option(help='Length of a drive.')] = 20.0,
    seed_from: Annotated[
        int, typer.Option(help='Seed of the first drive: 100000 validation, 200000 test.')
    ] = 150_000,
    rate: Annotated[float, typer.Option(help='Windows a second.')] = 10.0,
    tracker: Annotated[str | None, typer.Option(help='Tracker for both.')] = None,
    resamples: Annotated[int, typer.Option(help='Bootstrap samples.')] = 500,
    pictures: Annotated[int, typer.Option(help='Frames that differ most, as pictures.')] = 8,
    rig: Annotated[Path | None, typer.Option(help='Rig file.')] = None,
    jobs: Annotated[int, typer.Option(help='Processes.')] = 1,
    out: Annotated[Path, typer.Option(help='Folder of the results.')] = Path('out/compare'),
) -> None:
    """Put two models side by side: metrics with intervals, latency, size, and a verdict."""
    from dataclasses import asdict

    import numpy as np
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
    from rich.table import Table

    from avdet_ros.audio.features import FrontEnd
    from avdet_ros.detection.session import Detector
    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation import compare as comparing
    from avdet_ros.evaluation import drives as runner
    from avdet_ros.evaluation import report
    from avdet_ros.evaluation.pictures import draw_frame, save_picture
    from avdet_ros.rig import load_rig
    from avdet_ros.tracking import DEFAULT_TRACKER, make_tracker, tracker_parameters

    console = Console()
    seeds = tuple(range(seed_from, seed_from + drives))
    runner.check_request(seeds, seconds, rate)
    if not 10 <= resamples <= 100_000:
        raise AvdetError(f'resamples: expected 10 to 100000, found {resamples}')
    tracker = tracker or DEFAULT_TRACKER
    tracker_parameters(tracker)
    loaded_rig = load_rig(rig)
    loaded = [Detector(path, loaded_rig, FrontEnd(), threads=1) for path in (a, b)]
    names = (a.stem, b.stem) if a.stem != b.stem else (f'A {a.stem}', f'B {b.stem}')
    plan = runner.Plan(
        seeds=seeds,
        seconds=seconds,
        rate_hz=rate,
        label_offset_s=loaded[0].contract.label_offset_s,
        models=dict(zip(names, (a, b), strict=True)),
        statistics=None,
        rig_path=rig,
    )
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn(),
                  console=console) as progress:  # fmt: skip
        task = progress.add_task('drives', total=drives)
        records = runner.hear_drives(plan, jobs, tick=lambda: progress.advance(task))
        task = progress.add_task('bootstrap', total=None)
        result = comparing.compare(records, names, lambda: make_tracker(tracker), resamples)
        progress.update(task, total=1, completed=1)

    split = runner.whose(seeds)
    title = f'{drives} {split} drives of {seconds:g} s, seeds {seeds[0]} to {seeds[-1]}'
    table = Table(title=title, title_justify='left')
    for heading in ('', *names, 'difference', '95 % of it', ''):
        table.add_column(heading, justify='right' if heading else 'left')
    for name, row in result.items():
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
    times = {n: np.concatenate([r.milliseconds[n] for r in records]) for n in names}
    medians, p99 = ([float(np.percentile(times[n], q)) for n in names] for q in (50, 99))
    table.add_row('ms a window, median', *(f'{value:.2f}' for value in medians),
                  f'{medians[1] - medians[0]:+.2f}', '', '')  # fmt: skip
    megabytes = [detector.size_bytes / 1e6 for detector in loaded]
    table.add_row('MB', *(f'{value:.2f}' for value in megabytes),
                  f'{megabytes[1] - megabytes[0]:+.2f}', '', '')  # fmt: skip
    console.print(table)
    sentence = comparing.verdict(result, names, drives)
    console.print(sentence, highlight=False)

    files = []
    for rank, frame in enumerate(comparing.most_different(records, names, pictures)):
        record = records[frame.record]
        stamp_s = record.stamps_s[frame.index]
        heard = {name: record.detections[name][frame.index] for name in names}
        caption = f'{record.name}, {stamp_s:.1f} s: {names[1]} {frame.advantage:+d}'
        path = out / f'differ_{rank + 1}.png'
        save_picture(draw_frame(loaded_rig, record.truth[frame.index], heard, caption), path)
        files.append({'file': path.name, 'drive': record.name, 'stamp_s': stamp_s,
                      'advantage': frame.advantage})  # fmt: skip
    report.write_json(out / 'compare.json', {
        'drives': drives, 'seconds': seconds, 'seeds': [seeds[0], seeds[-1]], 'split': split,
        'rate_hz': rate, 'tracker': tracker, 'resamples': resamples,
        'models': [
            {'name': name, 'file': str(detector.path), 'sha256': detector.sha256,
             'bytes': detector.size_bytes, 'ms_p50': p50, 'ms_p99': high}
            for name, detector, p50, high in zip(names, loaded, medians, p99, strict=True)
        ],
        'metrics': {name: asdict(row) for name, row in result.items()},
        'verdict': sentence, 'frames': files,
    })  # fmt: skip
    console.print(f'results and {len(files)} pictures in {out}')
