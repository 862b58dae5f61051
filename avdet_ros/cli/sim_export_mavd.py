"""`avdet sim export-mavd`: a data set as the authors' program reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export_mavd(
    data: Annotated[Path, typer.Argument(help='Drives in the MAVD layout.')],
    out: Annotated[Path, typer.Argument(help='Folder of the copy; an interrupted one goes on.')],
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Write drives as MM-DistillNet's own program reads them, to compare it with this package.

    Pictures get .jpg names (thermal ones stay 16-bit PNG inside, which its loader reads), sound
    becomes eight .mp3 a frame, from which its mp3_to_pkl.py makes spectrograms. MP3 changes the
    phase between microphones: train with this package on the drives themselves.

    Example:
        avdet sim export-mavd out/drives out/mavd
    """
    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.dataset.export_mavd import export_mavd as export

    frames = export(data, out, progress_bars(progress))
    console().print(f'{out}: {frames} frames')
