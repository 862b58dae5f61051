"""A command writes its own section of a page and nothing else."""

from __future__ import annotations

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.reports.page_section import marks, write_section


def test_write_section_changes_only_its_section(tmp_path):
    page = tmp_path / 'page.md'
    frame = f'# Page\n\n{marks("one")}\n\nby hand\n\n{marks("two")}\n'
    write_section(page, 'two', 'a table', frame)
    write_section(page, 'one', 'another', 'a frame that is not needed')
    write_section(page, 'two', 'a newer table', '')
    assert page.read_text() == (
        '# Page\n\n<!-- one -->\n\nanother\n\n<!-- end of one -->\n\nby hand\n\n'
        '<!-- two -->\n\na newer table\n\n<!-- end of two -->\n'
    )


@pytest.mark.parametrize(
    'text', ['nothing', '<!-- one -->', '<!-- one --><!-- one --><!-- end of one -->']
)
def test_page_without_marks_is_rejected_and_unchanged(tmp_path, text):
    page = tmp_path / 'page.md'
    page.write_text(text)
    with pytest.raises(AvdetError) as caught:
        write_section(page, 'one', 'a table', '')
    assert str(caught.value) == (
        f'{page}: expected one <!-- one --> and one <!-- end of one -->, found none or more'
    )
    assert page.read_text() == text
    with pytest.raises(AvdetError, match=r'cannot write .*: '):
        write_section(tmp_path, 'one', 'a table', '')
