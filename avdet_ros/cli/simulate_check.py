"""`avdet simulate-check`: the renderer against physics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate_check(
    rig: Annotated[Path | None, typer.Option(help='rig file')] = None,
) -> None:
    """Measure the simulated sound and compare it with closed forms and standards."""
    from rich.console import Console
    from rich.progress import track

    from avdet_ros.errors import AvdetError
    from avdet_ros.rig import load_rig
    from avdet_ros.simulation.check import check, render_factor

    loaded = load_rig(rig)
    console = Console()
    found = list(track(check(loaded), 'measuring', transient=True, total=None))
    # Markdown, so that the table can go into a document as it is
    console.print('| quantity | measured | expected | within | by |', soft_wrap=True)
    console.print('|---|---|---|---|---|', soft_wrap=True)
    for line in found:
        console.print(
            f'| {line.what} | {line.measured:.4g} {line.unit} | {line.expected:.4g} '
            f'| {line.tolerance:.3g} | {line.source} |',
            soft_wrap=True,
            highlight=False,
        )
    console.print(
        f'\n{render_factor(loaded):.0f} x real time: 8 microphones, 3 vehicles, one core.',
        soft_wrap=True,
    )
    wrong = [line.what for line in found if not line.passed]
    if wrong:
        raise AvdetError(f'measured and expected differ: {"; ".join(wrong)}')
