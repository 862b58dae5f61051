"""Learning curves from runs' logs: validation scores over the number of training windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
from dataclasses import dataclass
import math
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.reports.plots import COLOURS
from avdet_ros.files import explain_os_error, write_atomically
from avdet_ros.training.any_array.fitting.run_file import BEST, LOG, read_run_file

PANELS = {
    'bearing_ap': 'average precision of bearings, 3°',
    'bearing_recall': 'recall of bearings at 0.1 false a window',
    'ap50': 'average precision of boxes, IoU 0.5',
}
"""Columns of a log that are plotted, with their titles."""

STYLE = {
    'font.size': 10,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.edgecolor': '#8c959f',
    'axes.titlesize': 11,
    'axes.titlelocation': 'left',
}


@dataclass(frozen=True)
class Learned:
    """Progress of a run, epoch by epoch.

    Attributes:
        windows_seen: (E,) windows that the network had learned from, repetitions counted.
        windows: (E,) different windows in the set; NaN where the log has no number.
        scores: (E,) of each column of `PANELS`.
    """

    windows_seen: np.ndarray
    windows: np.ndarray
    scores: Mapping[str, np.ndarray]

    @property
    def passes(self) -> float:
        """Average number of times that each window of the final set was used."""
        return float(self.windows_seen[-1] / self.windows[-1])


def read_run(folder: Path) -> Learned:
    """Read the log of the run in a folder; see `training.any_array.fitting.fit`.

    Raises:
        AvdetError: the run has no log, a log without bearings, or no weights.
    """
    path = folder / LOG
    try:
        with path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([float(row[name]) for row in rows]) for name in PANELS}
        steps = np.array([float(row['step']) for row in rows])
        # Older logs hold the validation set's number, under a name that both sets shared.
        windows = np.array([float(row.get('training_windows', 'nan')) for row in rows])
    except OSError as error:
        raise AvdetError(f'cannot read {path}: {explain_os_error(error)}') from error
    except (KeyError, ValueError, TypeError) as error:
        raise AvdetError(
            f'{path}: expected the log of a run of any-array, found {error!r:.80}'
        ) from error
    if not len(steps):
        raise AvdetError(f'{path}: expected an epoch at least, found none')
    batch = int(read_run_file(folder / BEST, 'plan')['plan']['batch'])  # windows a step
    return Learned(steps * batch, windows, columns)


def table(runs: Mapping[str, Learned]) -> str:
    """Return the final scores of each run as a Markdown table."""
    lines = [
        '| run | windows | heard | bearing AP | recall | AP50 | AP at half of that |',
        '|---|--:|--:|--:|--:|--:|--:|',
    ]
    for name, run in runs.items():
        half = int(np.searchsorted(run.windows_seen, run.windows_seen[-1] / 2))
        windows = '-' if math.isnan(run.windows[-1]) else f'{run.windows[-1]:,.0f}'
        ends = ' | '.join(f'{run.scores[column][-1]:.3f}' for column in PANELS)
        before = run.scores['bearing_ap'][half]
        lines.append(
            f'| {name} | {windows} | {run.windows_seen[-1]:,.0f} | {ends} | {before:.3f} |'
        )
    return '\n'.join(lines) + '\n'


def draw(runs: Mapping[str, Learned], path: Path) -> None:
    """Plot the runs' scores to a file.

    Args:
        runs: runs by their name in the legend.
        path: a PNG or SVG file.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 3.6), layout='constrained')
        panels = figure.subplots(1, len(PANELS))
        for axes, (column, title) in zip(panels, PANELS.items(), strict=True):
            for index, (name, run) in enumerate(runs.items()):
                colour = COLOURS[index % len(COLOURS)]
                axes.plot(
                    run.windows_seen, run.scores[column], '.-', color=colour, label=name, ms=4
                )
            axes.set_xscale('log')
            axes.set(title=title, xlabel='windows heard')
            axes.grid(color='#eaeef2')
        panels[0].legend(frameon=False, fontsize=9)
        with write_atomically(path) as file:
            figure.savefig(file, format=path.suffix.removeprefix('.') or 'png', dpi=110)


def named(folders: Sequence[Path]) -> dict[str, Learned]:
    """Read runs and name them by the shortest distinct ends of their folders' paths."""
    for depth in range(1, 5):
        names = ['/'.join(folder.resolve().parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            break
    return {name: read_run(folder) for name, folder in zip(names, folders, strict=True)}
