"""How far long work is: the one interface between what works and who shows it.

A function that may take more than a few seconds takes a `Progress` and opens a step a stage::

    with progress.step('drives', total=len(seeds)) as advance:
        for seed in seeds:
            simulate(seed)
            advance()

The commands hand in bars on the terminal (`avdet_ros.cli.console.progress_bars`); everyone else
gets `SILENT`. What happened, as opposed to how far it is, goes to `logging`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Counts what is done of a step."""

    def __call__(self, done: int = 1) -> None:
        """Count some more as done."""


class Progress(Protocol):
    """Shows steps of work while they last.

    Attributes:
        visible: whether anyone sees it; a library that draws bars of its own asks here.
    """

    @property
    def visible(self) -> bool:
        """See the class."""

    def step(self, name: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Open a step for the length of a `with` block.

        Args:
            name: what is being worked on, in a word or a few.
            total: how much there is of it; None if unknown.

        Returns:
            A context whose value is called as parts get done.
        """


class Silent:
    """Progress that is not shown."""

    visible = False

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """See `Progress.step`."""
        yield lambda done=1: None


SILENT = Silent()
