"""Write the two generated sections of `docs/field.md`, a page otherwise written by hand."""

from __future__ import annotations

from datetime import date
import os
from pathlib import Path

from avdet_ros.evaluation.reports import page_section

_FRAME = """\
# In the field

Faults done to the running graph, and how it keeps for hours.

## Faults

{faults}

## Soak

{soak}
"""


def machine_line(about: dict[str, object]) -> str:
    """Describe the machine and day of a measurement in one line."""
    nice = os.nice(0)
    first = f', niceness {nice}' if nice else ''
    return (
        f'{about["cores"]} cores, load {about["load"]:.1f}{first}, Python {about["python"]}, '
        f'{date.today():%Y-%m-%d}.'
    )


def write_section(page: Path, name: str, text: str) -> None:
    """Replace a section of `docs/field.md`; see `page_section.write_section`.

    Args:
        page: Markdown file; a missing one is created.
        name: faults or soak.
        text: the new section.

    Raises:
        AvdetError: the page cannot be read or written, or lacks the section's marks.
    """
    frame = _FRAME.format(**{key: page_section.marks(key) for key in ('faults', 'soak')})
    page_section.write_section(page, name, text, frame)
