"""`avdet bag from-drive`: convert a simulated drive to a bag."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.console import print_line


def drive_to_bag(
    drive: Annotated[Path, typer.Argument(help='Drive folder, as written by avdet sim drives.')],
    out: Annotated[Path, typer.Option(help='Bag to write.')],
) -> None:
    """Convert a simulated drive to a bag: sound, cameras, camera_info, TF and ground truth."""
    from avdet_ros.bags import from_drive

    counts = from_drive.drive_to_bag(drive, out)
    size = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    print_line(f'{out}: {size:.1f} MB')
    for topic, count in sorted(counts.items()):
        print_line(f'  {count:6d} {topic}')
