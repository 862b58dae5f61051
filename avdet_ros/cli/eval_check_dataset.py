"""`avdet eval check-dataset`: check that a folder of drives is complete and consistent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.files import explain_os_error


def check_dataset(
    folder: Annotated[
        Path, typer.Argument(help='Drives in the MAVD layout, simulated or recorded.')
    ],
    decode: Annotated[int, typer.Option(help='Frames to decode per drive; 0 for all.')] = 20,
    json: Annotated[Path | None, typer.Option(help='Write the report as JSON here.')] = None,
) -> None:
    """Find missing and unreadable files, gaps, unusual levels and leakage between splits.

    The exit status is 1 if there are errors.
    """
    from collections import Counter
    from dataclasses import asdict
    import json as codec

    from rich.table import Table
    from rich.text import Text

    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.dataset.check import check
    from avdet_ros.errors import AvdetError

    if decode < 0:
        raise AvdetError(f'decode: expected 0 or more frames, found {decode}')
    report = check(folder, decode, progress_bars())
    table = Table(title=str(folder), title_justify='left')
    table.add_column('drive', overflow='fold')  # shrinks first on a narrow terminal
    table.add_column('split', no_wrap=True)
    for heading in ('frames', 's', 'Hz', 'gaps', 'decoded', 'dBFS'):
        table.add_column(heading, justify='right', no_wrap=True)
    sizes: Counter[tuple[str, str]] = Counter()
    for name, drive in report.drives.items():
        levels = [value for value in drive.level_dbfs if value is not None]
        level = f'{min(levels):.0f}…{max(levels):.0f}' if levels else '-'
        sizes.update(drive.sizes.items())
        table.add_row(
            name,
            drive.split,
            str(drive.frames),
            f'{drive.duration_s:.1f}',
            f'{drive.rate_hz:.1f}',
            str(drive.gaps),
            str(drive.checked),
            level,
        )
    console().print(table)
    for (modality, size), drives in sorted(sizes.items()):
        console().print(f'{modality}: {size or "none"} in {drives} drives')
    listed = (f'{name} {count}' for name, count in report.files.items() if count)
    console().print(', '.join(listed), soft_wrap=True)
    for finding in report.findings:
        colour = 'red' if finding.level == 'error' else 'yellow'
        times = f' ({finding.count} times)' if finding.count > 1 else ''
        text = f'{finding.drive}: {finding.what}{times}, e.g. {finding.example}'
        line = Text.assemble((finding.level, colour), f': {text}')
        console().print(line, soft_wrap=True)
    if json is not None:
        try:
            json.write_text(codec.dumps({**asdict(report), 'errors': report.errors}, indent=1))
        except OSError as error:
            raise AvdetError(
                f'{json}: expected a file to write, found {explain_os_error(error)}'
            ) from error
    warnings = len(report.findings) - report.errors
    console().print(f'{report.errors} errors, {warnings} warnings')
    if report.errors:
        raise typer.Exit(1)
