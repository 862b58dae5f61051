"""`avdet sim export-mavd`: export a data set in the format of the authors' program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export_mavd(
    data: Annotated[Path, typer.Argument(help='Drives in the MAVD layout.')],
    out: Annotated[
        Path, typer.Argument(help='Folder for the copy; an interrupted export is continued.')
    ],
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Write drives in the format of MM-DistillNet's own program, to compare it with this package.

    Pictures are named .jpg (thermal ones stay 16-bit PNG inside, which its loader reads). Sound is
    written as eight .mp3 per frame, from which its mp3_to_pkl.py makes spectrograms. MP3 changes
    the phase between microphones, so train this package on the original drives.

    Example:
        avdet sim export-mavd out/drives out/mavd
    """
    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.dataset.export_mavd import export_mavd as export

    frames = export(data, out, progress_bars(progress))
    console().print(f'{out}: {frames} frames')
