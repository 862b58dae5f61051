from __future__ import annotations

from dataclasses import replace
import shlex

import pytest

from avdet_ros.cli import main as cli
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.reports.page_section import marks
from avdet_ros.progress import SILENT
from avdet_ros.training.studies.pretexts.rows import (
    FEW,
    LONGER,
    MORE,
    SCALES,
    Run,
    runs_of,
)
from avdet_ros.training.studies.pretexts.study import (
    DOCUMENT,
    KEY,
    OF_DRIVES,
    PAGE,
    Comparison,
    beats,
    read_results,
    study,
)

SMOKE = SCALES['smoke']
COMMAND = ['avdet', 'train', 'reproduce', '--rows', 'pretexts', '--no-progress']


def command_exits_with(status=0):
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return (ended.value.code or 0) == status


def test_row_beats_another_only_by_more_than_the_range_of_seeds():
    assert beats([0.5, 0.6], [0.3, 0.4])
    assert not beats([0.4, 0.7], [0.3, 0.4]), 'by 0.2, and its seeds are 0.3 apart'
    assert not beats([0.5, 0.75], [0.25, 0.5]), 'by just the range'
    assert not beats([0.3], [0.3])


def test_row_is_decided_when_every_seed_has_run(tmp_path):
    comparison = Comparison(SMOKE, tmp_path, None, SILENT)
    for share, good in ((FEW, 0.4), (MORE, 0.5)):
        comparison.scores[Run(LONGER, share, 0)] = {'direction': 0.3, 'about': ''}
        assert comparison.results()['waiting'] == list(SMOKE.tasks)
        comparison.scores[Run('masked_channels', share, 0)] = {'direction': good, 'about': ''}
        comparison.scores[Run('instance', share, 0)] = {'direction': 0.2, 'about': ''}
    assert comparison.helps('masked_channels')
    told = comparison.results()
    assert (told['stopped'], told['waiting']) == (['instance'], ['synchronisation'])


@pytest.mark.slow
def test_rows_run_once_and_report_missing_requirements(window_folder, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'windows').symlink_to(window_folder)  # missing windows would be simulated
    words = [*COMMAND, '--scale', 'smoke', '--out', str(out), '--pages', str(tmp_path)]
    monkeypatch.setattr('sys.argv', words)
    assert command_exits_with()
    page = out / PAGE
    document = (tmp_path / DOCUMENT).read_text()
    assert document.startswith(f'<!-- {KEY} -->\n\n`{shlex.join(words)}`')
    assert document.partition('`')[2].partition('<!--')[0].strip() in page.read_text()
    told = read_results(out)
    assert set(told['lacking']) == {'synchronisation', 'instance'}
    assert 'simulated windows have no pictures' in told['lacking']['instance']
    assert 'at most 1.25 s apart' in told['lacking']['synchronisation']
    runs = {(run['row'], run['share'], run['freeze']) for run in told['runs']}
    assert {('none', 1.0, False), ('none, longer', 0.01, False)} <= runs
    assert {('masked_channels', 0.1, True), ('none', 0.1, True)} <= runs
    assert (('masked_channels', 1.0, False) in runs) == ('masked_channels' not in told['stopped'])
    text = page.read_text()
    assert '| none, longer | ' in text
    assert 'masked_channels: hidden levels off by' in text
    assert 'Left out, and why:' in text
    before = {path: path.stat().st_mtime_ns for path in out.glob('rows/*/row.json')}
    assert command_exits_with()
    assert page.read_text() == text
    assert {path: path.stat().st_mtime_ns for path in out.glob('rows/*/row.json')} == before
    assert len(list(out.glob('pretexts/masked_channels_*'))) == 1, 'one for all shares'


@pytest.mark.slow
def test_drives_with_true_boxes_report_missing_requirements(drives, tmp_path):
    scale = replace(SMOKE, batch=8, tasks=('synchronisation', 'instance'))
    comparison = Comparison(scale, tmp_path / 'out', drives, SILENT)
    for task in scale.tasks:
        comparison.run_all(task, runs_of(task, FEW, scale))
    told = comparison.results()
    assert told['labels'] == 'truth'
    assert set(told['lacking']) == {'instance'}
    assert 'the right moment nearer' in told['about']['synchronisation']


@pytest.mark.slow
def test_page_section_of_drives_has_only_the_requested_pretexts(drives, tmp_path):
    document = tmp_path / DOCUMENT
    document.write_text(f'# By hand\n\n{marks(KEY)}\n\n{marks(OF_DRIVES)}\n')
    scale = replace(SMOKE, batch=8)
    study(scale, tmp_path / 'out', drives, 'avdet', tmp_path, tasks=('instance',))
    told = read_results(tmp_path / 'out')
    assert set(told['lacking']) == {'instance'}, 'the other tasks of the scale are not run'
    assert {run['row'] for run in told['runs']} == {'none', LONGER}
    before, _, after = document.read_text().partition(f'<!-- {OF_DRIVES} -->')
    assert before == f'# By hand\n\n{marks(KEY)}\n\n'
    assert '| none, longer | ' in after


def test_unknown_scale_is_rejected(tmp_path):
    with pytest.raises(
        AvdetError, match="scale: expected one of smoke, small, full, found 'tiny'"
    ):
        study('tiny', tmp_path)


def test_unknown_pretext_name_is_rejected(tmp_path, monkeypatch, capsys):
    words = ['--scale', 'smoke', '--out', str(tmp_path)]
    monkeypatch.setattr(
        'sys.argv', ['avdet', 'train', 'reproduce', '--rows', 'pretexts,turnd', *words]
    )
    assert command_exits_with(1)
    said = ' '.join(capsys.readouterr().err.split())
    assert 'pretext: expected one of' in said
    assert "found 'turnd'" in said


def test_command_rejects_an_unknown_scale_of_pretext_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', [*COMMAND, '--scale', 'tiny', '--out', str(tmp_path)])
    assert command_exits_with(1)
    assert 'expected one of smoke, small, full' in ' '.join(capsys.readouterr().err.split())
