"""`avdet bag from-drive`: a simulated drive as a bag."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def drive_to_bag(
    drive: Annotated[Path, typer.Argument(help='Drive folder, as avdet sim drives writes it.')],
    out: Annotated[Path, typer.Option(help='Bag to make.')],
) -> None:
    """Write a simulated drive as a bag: sound, cameras, camera_info, TF and truth."""
    from rich.console import Console

    from avdet_ros.bags import from_drive

    counts = from_drive.drive_to_bag(drive, out)
    console = Console(highlight=False, soft_wrap=True)
    size = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    console.print(f'{out}: {size:.1f} MB')
    for topic, count in sorted(counts.items()):
        console.print(f'  {count:6d} {topic}')
