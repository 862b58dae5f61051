"""The command that runs all self-supervision rows, and the page that it writes."""

from __future__ import annotations

import pytest

from avdet_ros.cli import main as cli
from avdet_ros.dataset.labels import LABELS
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding.boxes import true_boxes
from avdet_ros.training.studies.sounding.attention_rows import ATTENTIONS
from avdet_ros.training.studies.sounding.filtered_students import SEEN, STUDENT_ROWS, write_seen
from avdet_ros.training.studies.sounding.page import PAGE, SECTIONS, StudyPage
from avdet_ros.training.studies.sounding.picture_rows import PICTURE_ROWS
from avdet_ros.training.studies.sounding.selector_rows import SELECTORS
from avdet_ros.training.studies.sounding.self_supervision import SCALES, attention_of, study
from avdet_ros.training.studies.sounding.teacher_rows import KEYS

COMMAND = ['avdet', 'train', 'reproduce', '--rows', 'self-supervision']


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_command_writes_the_page_and_does_not_repeat_finished_work(tmp_path, monkeypatch):
    pages, out = tmp_path / 'pages', tmp_path / 'out'
    pages.mkdir()
    words = [*COMMAND, '--scale', 'smoke', '--out', str(out), '--pages', str(pages)]
    monkeypatch.setattr('sys.argv', [*words, '--no-progress'])

    def page() -> dict[str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code in (None, 0)
        text = (pages / PAGE).read_text()
        assert (out / PAGE).read_text() == text
        its = {}
        for name in SECTIONS:
            assert text.count(f'<!-- {name} -->') == text.count(f'<!-- end of {name} -->') == 1
            its[name] = text.partition(f'<!-- {name} -->')[2].partition('<!-- end of')[0]
            assert '--rows self-supervision --scale smoke' in its[name]
        return its

    first = page()
    left = first['selectors'].partition('Not run: ')[2].partition('. ')[0].split('; ')
    for row in SELECTORS:
        few = row.plan.labelled < 10
        assert (f'| {row.title} |' in first['selectors']) == few, (
            'only rows that need few labelled frames run'
        )
        assert (row.title in left) == (not few)
    for title, plan in ATTENTIONS.values():
        run = not 10 < plan.labelled <= 2000
        assert (f'| {title} |' in first['attention']) == run
    assert all(f'| {words} |' in first['filter'] for words in STUDENT_ROWS.values())
    assert all(f'| {row.title} | - |' in first['hand-made'] for row in PICTURE_ROWS)
    assert 'No teacher has labelled these drives' in first['teachers']

    fitted = {path: path.stat().st_mtime_ns for path in out.glob('[as]*/*_seed0.*')}
    assert len(fitted) > len(SELECTORS)
    drives, split = out / 'drives', read_split(out / 'drives', 0.0)
    for frames in (split.val, split.test):
        write_seen(drives, true_boxes(drives, by_drive(frames)))
    (drives / SEEN).rename(drives / LABELS)
    again = page()
    assert {path: path.stat().st_mtime_ns for path in fitted} == fitted
    for name in SECTIONS:
        assert (again[name] == first[name]) == (name not in ('shares', 'teachers')), name
    for row in SELECTORS:
        assert (f'| {row.title} |' in again['teachers']) == (row.key in KEYS)


def test_page_reports_drives_without_pictures(tmp_path):
    page = StudyPage(tmp_path / 'out', None, 'avdet train reproduce')
    assert attention_of(tmp_path, {}, None, tmp_path, SCALES['smoke'], page) == {}
    assert 'These drives have no pictures (fl_rgb) to attend over.' in page.path.read_text()


def test_invalid_options_raise_one_clear_error(tmp_path, monkeypatch, capsys):
    with pytest.raises(
        AvdetError, match="one of smoke, small, evening for self-supervision, found 'full'"
    ):
        study('full', tmp_path / 'out')
    monkeypatch.setattr('sys.argv', [*COMMAND[:-1], 'self-supervison', '--data', str(tmp_path)])
    with pytest.raises(SystemExit):
        cli.main()
    error = capsys.readouterr().err
    assert 'compact_truth' in error
    assert 'self-supervision' in error
    assert "found 'self-supervison'" in error
