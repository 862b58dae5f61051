"""All rows of which seen vehicle sounds at toy size, and the page that is made of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avdet_ros.cli import main as cli
from avdet_ros.dataset.labels import LABELS
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding.boxes import true_boxes
from avdet_ros.training.studies.sounding.filtered_students import (
    SEEN,
    STUDENT_ROWS,
    StudentScale,
    write_seen,
)
from avdet_ros.training.studies.sounding.page import PAGE, StudyPage
from avdet_ros.training.studies.sounding.picture_rows import PICTURE_ROWS
from avdet_ros.training.studies.sounding.selector_rows import SELECTORS
from avdet_ros.training.studies.sounding.self_supervision import SCALES, attention_of, study

TOY = replace(
    SCALES['smoke'], steps=2, students=StudentScale(2, 1, ('all', 'oracle_hidden', 'sounding'))
)


@pytest.fixture
def own(drives, tmp_path):
    """The shared drives, with a place of their own for features and labels."""
    root = tmp_path / 'drives'
    root.mkdir()
    for path in drives.iterdir():
        if path.name != 'features':
            (root / path.name).symlink_to(path)
    return root


@pytest.mark.slow
def test_every_row_runs_and_what_is_done_stays_done(own, tmp_path, monkeypatch, log_lines):
    pages = tmp_path / 'pages'
    pages.mkdir()
    split = read_split(own, 0.0)
    for frames in (split.val, split.test):
        write_seen(own, true_boxes(own, by_drive(frames)))
    (own / SEEN).rename(own / LABELS)
    page = study(TOY, tmp_path / 'out', own, 'avdet train reproduce', pages)
    text = page.read_text()
    assert (pages / PAGE).read_text() == text
    for name in (
        'shares',
        'hand-made',
        'selectors',
        'bar',
        'parts',
        'filter',
        'teachers',
        'attention',
    ):
        assert text.count(f'<!-- {name} -->') == text.count(f'<!-- end of {name} -->') == 1
    for row in SELECTORS:
        assert (f'| {row.title} |' in text) == (row.plan.labelled < 100), 'of so few frames'
    assert STUDENT_ROWS['oracle_hidden'] in text
    assert STUDENT_ROWS['sounding'] in text
    assert all(f'| {row.title} | - |' in text for row in PICTURE_ROWS)
    assert '| audible | 100 % | 100 % | 100 % | 100 % | 100 % |' in text, 'true and seen'
    seen = text.partition('<!-- teachers -->')[2].partition('<!-- end of')[0]
    assert '| all told: sound | - | 1.00 |' in seen

    def never(*anything, **more):
        raise AssertionError('this is done already')

    monkeypatch.setattr('avdet_ros.training.studies.sounding.selector_rows.fit_selector', never)
    monkeypatch.setattr('avdet_ros.training.studies.sounding.selector_filter.fit_selector', never)
    monkeypatch.setattr('avdet_ros.training.studies.sounding.attention_rows.fit_attention', never)
    monkeypatch.setattr('avdet_ros.training.studies.sounding.filtered_students.fit_columns', never)
    assert study(TOY, tmp_path / 'out', own, 'avdet train reproduce', pages).read_text() == text


def test_drives_without_pictures_say_so(tmp_path):
    page = StudyPage(tmp_path / 'out', None, 'avdet train reproduce')
    assert attention_of(tmp_path, {}, None, tmp_path, TOY, page) == {}
    assert 'These drives have no pictures (fl_rgb) to attend over.' in page.path.read_text()


def test_mistakes_are_one_sentence(tmp_path, own, monkeypatch, capsys):
    with pytest.raises(AvdetError, match="one of smoke, small for self-supervision, found 'full'"):
        study('full', tmp_path / 'out')
    monkeypatch.setattr(
        'sys.argv',
        ['avdet', 'train', 'reproduce', '--rows', 'self-supervison', '--data', str(own)],
    )
    with pytest.raises(SystemExit):
        cli.main()
    error = capsys.readouterr().err
    assert 'compact_truth' in error
    assert 'self-supervision' in error
    assert "found 'self-supervison'" in error
