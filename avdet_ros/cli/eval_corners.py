"""`avdet eval corners`: are vehicles behind corners reported before the camera sees them?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate_corners(
    vehicles: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            help='Vehicles to score with the ego vehicle standing, and as many driving.',
        ),
    ] = 10,
    validation: Annotated[
        bool, typer.Option('--validation', help='Use drives from seed 100000 instead of 200000.')
    ] = False,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    store: Annotated[
        Path, typer.Option(help='Folder that keeps detections, about 20 kB per vehicle.')
    ] = Path('out/corners'),
    pages: Annotated[
        Path | None, typer.Option(help='Folder of the page whose table is replaced: docs.')
    ] = None,
) -> None:
    """Score topic hidden at blind corners: is the side right, and how early is the warning?

    A vehicle takes about 15 seconds on one core; stored detections are reused.
    """
    from rich.markdown import Markdown

    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.cli.shipped_detectors import SHIPPED, shipped_detectors
    from avdet_ros.errors import AvdetError
    from avdet_ros.evaluation.ground import corner_scores
    from avdet_ros.evaluation.ground.corner_drives import corner_cases, find_cases
    from avdet_ros.evaluation.reports.page_section import marks, write_section
    from avdet_ros.evaluation.runs.on_simulation import TEST_SEEDS, VALIDATION_SEEDS
    from avdet_ros.rig import load_rig
    from avdet_ros.simulation.conditions import Condition

    loaded = load_rig(rig)
    detectors = shipped_detectors(loaded)
    first = (VALIDATION_SEEDS if validation else TEST_SEEDS)[0]
    condition, progress = Condition('furnished', 'ideal'), progress_bars()
    lines = [corner_scores.HEAD]
    for kind in ('standing', 'driving'):
        driving = kind == 'driving'
        found = find_cases(condition, loaded, first, vehicles, driving, progress)
        if not found:
            raise AvdetError(
                f'eval corners: expected drives with blind corners, {kind}: found none'
            )
        cases = corner_cases(found, detectors, store, driving, progress)
        lines += corner_scores.table(cases, kind, SHIPPED, loaded, progress)
    text = (
        f'    avdet eval corners --vehicles {vehicles}{" --validation" if validation else ""}\n\n'
        f'Simulated junctions between buildings, {condition}, seeds from {first}.\n\n'
    ) + '\n'.join(lines)
    console().print(Markdown(text))
    if pages is not None:
        write_section(pages / 'tracks.md', 'corners', text, marks('corners'))
