"""`avdet bag to-dataset`: convert recorded drives to a data set for `avdet train student`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.console import print_line


def bag_to_dataset(
    bags: Annotated[
        list[Path], typer.Argument(help='rosbag2 folders, .mcap or .db3; one per drive.')
    ],
    out: Annotated[Path, typer.Option(help='Folder for the data set, in the MAVD layout.')],
    rgb: Annotated[str, typer.Option(help='Topic of the RGB camera.')] = '/camera/image_raw',
    thermal: Annotated[str | None, typer.Option(help='Topic of the thermal camera.')] = None,
    depth: Annotated[
        str | None,
        typer.Option(help='Topic of the depth camera: 16UC1 mm, 32FC1 m, or colour-coded.'),
    ] = None,
    audio: Annotated[
        str | None,
        typer.Option(help='Topic of the sound; default: the topic audio in any namespace.'),
    ] = None,
    rig: Annotated[
        Path | None, typer.Option(help='Rig file; camera_info and static TF take precedence.')
    ] = None,
    thermal_kelvin: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=10,
            help='Kelvin per thermal count, e.g. 0.01 or 0.04; 0 if counts are not temperatures; '
            'default: estimated from the pictures.',
        ),
    ] = None,
    rate: Annotated[float, typer.Option(help='Maximum number of frames per second.')] = 10.0,
    odom: Annotated[
        str | None,
        typer.Option(help='Topic of the vehicle\'s odometry; "" for none; default: odom.'),
    ] = None,
) -> None:
    """Convert recorded drives to a data set of pictures and one-second clips, split by drive."""
    from avdet_ros.bags.dataset import convert
    from avdet_ros.bags.dataset_index import DriveReport
    from avdet_ros.errors import AvdetError

    def report_drive(report: DriveReport) -> None:
        print_line(f'{report.drive}: {report.frames} frames, {report.split}')
        if report.without_sound:
            print_line(f'  {report.without_sound} pictures without a second of sound', 'yellow')
        if report.gaps:
            print_line(f'  {report.gaps} gaps in the sound, {report.lost_s:.3f} s', 'yellow')
        for kind, count in report.missing.items():
            print_line(f'  {count} frames without {kind}', 'yellow')
        if report.with_truth:
            print_line(f'  {report.with_truth} frames with recorded truth')
        print_line(f'  camera by {report.camera}')
        for sentence in (*report.pose, *report.bad):
            print_line(f'  {sentence}', 'yellow')
        for kind, alignment in report.alignment.items():
            print_line(f'  {kind} {alignment}')
        if report.motion:
            print_line(f'  {report.motion}')
        if report.thermal:
            print_line(f'  thermal: {report.thermal}')
        if report.partial:
            print_line(f'  partial: {report.partial}', 'yellow')

    def report_failure(path: Path, error: AvdetError) -> None:
        if len(bags) > 1:
            print_line(f'{path}: {error}', 'red')

    named = {'rgb': rgb, 'thermal': thermal, 'depth': depth}
    topics = {kind: name for kind, name in named.items() if name}
    reports = convert(
        bags, out, topics, audio, rig, rate, thermal_kelvin, report_drive, report_failure, odom
    )
    kinds = {report.split for report in reports}
    print_line(f'{out}: {sum(report.frames for report in reports)} frames')
    for split in ('train', 'val', 'test'):
        if split not in kinds:
            print_line(f'no {split} split: it takes more drives than {len(reports)}', 'yellow')
