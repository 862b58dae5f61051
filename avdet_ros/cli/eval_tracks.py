"""`avdet eval tracks`: score tracks in metres against the truth of simulated drives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate_tracks(
    drives: Annotated[int, typer.Option(help='Number of test drives, from seed 200000.')] = 16,
    validation: Annotated[
        bool,
        typer.Option('--validation', help='Use validation drives, from seed 100000, instead.'),
    ] = False,
    seconds: Annotated[float, typer.Option(help='Length of a drive.')] = 20.0,
    rate: Annotated[
        float, typer.Option(help='Windows per second; tracks in metres use 10 of them.')
    ] = 20.0,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    store: Annotated[
        Path, typer.Option(help='Folder that keeps drives and detections, about 50 kB per drive.')
    ] = Path('out/ground_drives'),
    pages: Annotated[
        Path | None, typer.Option(help='Folder of the pages whose tables are replaced: docs.')
    ] = None,
) -> None:
    """Score the tracks in metres of both shipped models, with and without odometry."""
    from rich.markdown import Markdown

    from avdet_ros.cli.console import console, progress_bars
    from avdet_ros.cli.shipped_detectors import SHIPPED, shipped_detectors
    from avdet_ros.evaluation.ground import study as ground_study
    from avdet_ros.evaluation.ground.drives import GroundPlan, ground_drives
    from avdet_ros.evaluation.reports.page_section import marks, write_section
    from avdet_ros.evaluation.runs.on_simulation import (
        TEST_SEEDS,
        VALIDATION_SEEDS,
        check_request,
    )
    from avdet_ros.rig import load_rig

    first = (VALIDATION_SEEDS if validation else TEST_SEEDS)[0]
    seeds = range(first, first + drives)
    check_request(seeds, seconds, rate)
    loaded = load_rig(rig)
    detectors = shipped_detectors(loaded)
    progress = progress_bars()
    plan = GroundPlan(seconds, rate, detectors, loaded)
    found = ground_drives(plan, seeds, store, progress)
    every = ground_study.every_in_metres(rate)
    description = (
        f'    avdet eval tracks --drives {drives}{" --validation" if validation else ""}\n\n'
        f'{drives} simulated {"validation" if validation else "test"} drives of {seconds:g} s '
        f'(seeds {seeds[0]} to {seeds[-1]})'
    )
    metres = f'{description}, {rate / every:g} windows a second.\n\n'
    metres += ground_study.metres_table(found, SHIPPED, loaded, progress)
    image = f'{description}.\n\n' + ground_study.image_table(found, SHIPPED, loaded, progress)
    console().print(Markdown(metres + '\n\n' + image))
    if pages is not None:
        write_section(pages / 'tracks.md', 'metres', metres, marks('metres'))
        write_section(pages / 'trackers.md', 'all trackers', image, marks('all trackers'))
