"""The page on which seen vehicle sounds; each table is written as soon as it is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from avdet_ros.evaluation.reports.page_section import marks, write_section

PAGE = 'self-supervision.md'

SECTIONS = (
    'shares',
    'hand-made',
    'selectors',
    'bar',
    'parts',
    'reliability',
    'teachers',
    'filter',
    'attention',
)
"""Tables of the page, by the name of their marks."""


class StudyPage:
    """The page with its tables, in the run's folder and optionally in a folder of pages.

    Args:
        out: folder of the run; an existing page is replaced.
        pages: folder of pages that contains `PAGE`, or None.
        command: command that makes the tables.
    """

    def __init__(self, out: Path, pages: Path | None, command: str) -> None:
        self.path, self.pages = out / PAGE, pages
        self.made = f'`{command}`' if command else 'Written without a command.'
        out.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)

    def write(self, sections: Mapping[str, str]) -> None:
        """Write some tables, by the name of their marks."""
        empty = '\n\n'.join(marks(name) for name in SECTIONS)
        for path in (self.path, *((self.pages / PAGE,) if self.pages else ())):
            for name, text in sections.items():
                frame = f'# Self-supervision\n\n{empty}\n'
                write_section(path, name, f'{self.made}\n\n{text}', frame)

    @property
    def folders(self) -> list[Path]:
        """Folders that receive pictures."""
        return [self.path.parent, *([self.pages / 'images'] if self.pages else [])]
