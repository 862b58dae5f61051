"""`docs/field.md`: a page by hand with two tables between marks, each written by its command."""

from __future__ import annotations

from datetime import date
import os
from pathlib import Path

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error

_FRAME = """\
# In the field

Faults done to the running graph, and how it keeps for hours.

## Faults

{faults}

## Soak

{soak}
"""


def machine_line(about: dict[str, object]) -> str:
    """What a table was measured on, in one line."""
    nice = os.nice(0)
    first = f', niceness {nice}' if nice else ''
    return (
        f'{about["cores"]} cores, load {about["load"]:.1f}{first}, Python {about["python"]}, '
        f'{date.today():%Y-%m-%d}.'
    )


def write_section(page: Path, name: str, text: str) -> None:
    """Replace a page's section between ``<!-- name -->`` and ``<!-- end of name -->``.

    A page that is not there is made.

    Args:
        page: Markdown file.
        name: faults or soak.
        text: what stands there from now on.

    Raises:
        AvdetError: the page cannot be read or written, or has no such marks.
    """
    marks = {key: f'<!-- {key} -->\n\n<!-- end of {key} -->' for key in ('faults', 'soak')}
    try:
        old = page.read_text() if page.exists() else _FRAME.format(**marks)
        begin, end = f'<!-- {name} -->', f'<!-- end of {name} -->'
        if old.count(begin) != 1 or old.count(end) != 1:
            raise AvdetError(f'{page}: expected one {begin} and one {end}, found none or more')
        before, _, rest = old.partition(begin)
        after = rest.partition(end)[2]
        page.write_text(f'{before}{begin}\n\n{text}\n\n{end}{after}')
    except OSError as error:
        raise AvdetError(f'cannot write {page}: {explain_os_error(error)}') from error
