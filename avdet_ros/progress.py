"""Progress of long work: the interface between functions that work and commands that show it.

A function that may take more than a few seconds receives a `Progress` and opens one step per
stage::

    with progress.step('drives', total=len(seeds)) as advance:
        for seed in seeds:
            simulate(seed)
            advance()

The commands pass progress bars on the terminal (`avdet_ros.cli.console.progress_bars`); all other
callers use `SILENT`. Events, as opposed to progress, are reported with `logging`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Counts the finished parts of a step."""

    def __call__(self, done: int = 1) -> None:
        """Count more parts as finished."""


class Progress(Protocol):
    """Shows steps of work while they run.

    Attributes:
        visible: whether it is shown; decides whether libraries draw bars of their own.
    """

    @property
    def visible(self) -> bool:
        """See the class."""

    def step(self, name: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Open a step for the duration of a `with` block.

        Args:
            name: short description of the work.
            total: number of its parts; None if unknown.

        Returns:
            A context manager whose value is called as parts are finished.
        """


class Silent:
    """Progress that is not shown."""

    visible = False

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """See `Progress.step`."""
        yield lambda done=1: None


SILENT = Silent()
