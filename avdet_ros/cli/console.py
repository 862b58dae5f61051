"""Output of the commands: one console, plain log lines, progress bars on a terminal.

The package's log lines are printed unchanged, without time or level: information on standard
output, warnings and errors on standard error. Of several processes started by torchrun, only the
first prints information; all of them print warnings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
import logging
import os
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import Task

    from avdet_ros.progress import Advance, Progress

STYLES = {logging.WARNING: 'yellow', logging.ERROR: 'red', logging.CRITICAL: 'bold red'}


@cache
def console() -> Console:
    """Return the console for standard output; all commands share it, so bars and lines mix well.

    It has no markup and no emoji, because file names may contain brackets and colons.
    """
    return Console(highlight=False, markup=False, emoji=False)


def print_line(text: str, style: str = '') -> None:
    """Print a line verbatim, without wrapping or markup."""
    console().print(Text(text, style), soft_wrap=True)


def set_up_logging() -> None:
    """Print the package's log messages; further calls have no effect."""
    logger = logging.getLogger('avdet_ros')
    if not any(isinstance(handler, LineHandler) for handler in logger.handlers):
        logger.addHandler(LineHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a library that sets up the root logger would repeat every line


class LineHandler(logging.Handler):
    """Prints log records as plain lines."""

    def __init__(self) -> None:
        """Handle all levels that the logger passes on."""
        super().__init__()
        self._errors = Console(stderr=True, highlight=False)

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record; skip information in all but the first process."""
        if record.levelno < logging.WARNING and not first_process():
            return
        try:
            line = Text(self.format(record), STYLES.get(record.levelno, ''))
            output = self._errors if record.levelno >= logging.WARNING else console()
            output.print(line, soft_wrap=True)
        except Exception:
            self.handleError(record)


def first_process() -> bool:
    """Return whether this process is the only one, or the first that torchrun started."""
    return os.environ.get('RANK', '0') == '0'


def progress_bars(wanted: bool = True) -> Progress:
    """Return progress bars if output is a terminal and they are wanted, else silent progress."""
    from avdet_ros.progress import SILENT

    if wanted and console().is_terminal and first_process():
        return TerminalBars()
    return SILENT


class TerminalBars:
    """Draws one bar per open step; finished bars stay on the screen."""

    visible = True

    def __init__(self) -> None:
        """Draw nothing until a step opens."""
        self._bars: Bars | None = None
        self._open = 0

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """See `avdet_ros.progress.Progress.step`."""
        bars = self._bars = self._bars or _make_bars()
        if not self._open:
            bars.start()
        self._open += 1
        task = bars.add_task(name, total=total)

        def advance(done: int = 1) -> None:
            bars.advance(task, done)

        try:
            yield advance
            if total is None:  # without a total, the bar would keep pulsing
                done = bars.tasks[bars.task_ids.index(task)].completed
                bars.update(task, total=done or 1, completed=done or 1)
        finally:
            bars.stop_task(task)
            self._open -= 1
            if not self._open:
                bars.stop()
                self._bars = None


def _make_bars() -> Bars:
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

    class Count(ProgressColumn):
        """Column with items done, their total, and items per second."""

        def render(self, task: Task) -> Text:
            """Return the text for one bar."""
            if task.total is None and not task.completed:
                return Text('')
            of = f'/{task.total:.0f}' if task.total is not None else ''
            speed = task.finished_speed or task.speed
            rate = f' {speed:.1f}/s' if speed else ''
            return Text(f'{task.completed:.0f}{of}{rate}')

    columns = (
        TextColumn('{task.description}', markup=False),
        BarColumn(),
        Count(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    return Progress(*columns, console=console())
