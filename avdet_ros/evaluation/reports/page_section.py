"""Hand-written pages with tables between marks, each table written by a command."""

from __future__ import annotations

from pathlib import Path

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error


def marks(name: str) -> str:
    """Return an empty section for a new page."""
    return f'<!-- {name} -->\n\n<!-- end of {name} -->'


def write_section(page: Path, name: str, text: str, frame: str) -> None:
    """Replace a page's section between ``<!-- name -->`` and ``<!-- end of name -->``.

    Args:
        page: Markdown file; created if missing.
        name: name of the section.
        text: new content of the section.
        frame: content of a new page, with its empty sections.

    Raises:
        AvdetError: the page cannot be read or written, or has no such marks.
    """
    try:
        old = page.read_text() if page.exists() else frame
        begin, end = f'<!-- {name} -->', f'<!-- end of {name} -->'
        if old.count(begin) != 1 or old.count(end) != 1:
            raise AvdetError(f'{page}: expected one {begin} and one {end}, found none or more')
        before, _, rest = old.partition(begin)
        after = rest.partition(end)[2]
        page.write_text(f'{before}{begin}\n\n{text}\n\n{end}{after}')
    except OSError as error:
        raise AvdetError(f'cannot write {page}: {explain_os_error(error)}') from error
