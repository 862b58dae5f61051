"""`avdet bag process`: run detector and tracker on a bag, without ROS, as fast as possible."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.console import print_line


def process(
    bag: Annotated[Path, typer.Argument(help='rosbag2 folder, .mcap or .db3.')],
    out: Annotated[Path, typer.Option(help='Bag to write: detections, tracks, summary.json.')],
    model: Annotated[
        Path | None, typer.Option(help='ONNX model; the default is models/student.onnx.')
    ] = None,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    tracker: Annotated[
        str | None, typer.Option(help='Tracker: ground, iou or motion; default: as in the nodes.')
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(help='Topic with sound or spectrograms, if the bag has several.'),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(help='Seconds between windows; default: as recorded, or 0.1.'),
    ] = None,
    odom: Annotated[
        str | None,
        typer.Option(
            help='Odometry topic, for a model for any array; "" for none; default: odom.'
        ),
    ] = None,
    air_temperature: Annotated[
        float, typer.Option(help='Air temperature in degrees Celsius, if the bag has none.')
    ] = 20.0,
) -> None:
    """Detect and track vehicles in a recorded drive; the result depends only on the bag."""
    import time

    from avdet_ros.bags.process import process_bag
    from avdet_ros.detection.session import Detector
    from avdet_ros.paths import DEFAULT_MODEL, share
    from avdet_ros.rig import load_rig
    from avdet_ros.tracking import DEFAULT_TRACKER, make_tracker

    loaded_rig = load_rig(rig)
    model = model or share(DEFAULT_MODEL)
    detector = Detector(model, loaded_rig, providers=['cpu'], threads=1)
    front_end = detector.front_end
    follow = make_tracker(tracker or DEFAULT_TRACKER)
    start = time.monotonic()
    report = process_bag(
        bag, out, loaded_rig, front_end, detector, follow, topic, hop, odom, air_temperature
    )
    took_s = time.monotonic() - start
    print_line(
        f'{out}: {report.windows} windows, {report.boxes} boxes from {report.source}, '
        f'{report.sound_s:.1f} s of sound in {took_s:.1f} s '
        f'({report.sound_s / max(took_s, 1e-3):.1f} x real time)'
    )
    for label, count in (
        ('samples lost', report.lost_samples),
        ('windows with gaps', report.windows_with_gaps),
        ('windows without sound', report.skipped_windows),
        ('jumps of the clock', report.restarts),
        *report.bad.items(),
    ):
        if count:
            print_line(f'{label}: {count}', 'yellow')
    if detector.steered:
        known = f'known in {report.windows_with_speed} of {report.windows} windows'
        if report.odometry:
            print_line(f'own speed from {report.odometry}, {known}')
        else:
            print_line('no odometry: the array is assumed to stand still; --odom names a topic')
    for sentence in filter(None, (report.left_out, report.odometry_left_out)):
        print_line(sentence, 'yellow')
    if report.partial:
        print_line(f'partial: {report.partial}', 'yellow')
