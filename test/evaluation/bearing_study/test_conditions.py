"""Studies are measured once, resumed, and written into pages."""

from __future__ import annotations

from dataclasses import replace
import json

import numpy as np
import pytest

from avdet_ros.cli import main as cli
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearing_study import conditions
from avdet_ros.evaluation.bearing_study.conditions import chosen, read_study, run_study, slug
from avdet_ros.evaluation.bearing_study.pages import markdown, write_pages
from avdet_ros.evaluation.bearing_study.run import Request
from avdet_ros.evaluation.runs.on_simulation import training_statistics
from avdet_ros.rig import default_rig_path, load_rig
from avdet_ros.simulation.conditions import Condition


def test_conditions_are_chosen_by_name_or_kind():
    assert list(chosen(['plain-kept'])) == ['plain-kept']
    assert list(chosen(['shape'])) == [
        'shape-hexagon_and_two',
        'shape-corner',
        'shape-cross',
        'shape-ellipse',
        'shape-double_square',
    ]
    assert len(chosen([])) == 11
    with pytest.raises(AvdetError, match=r"condition: expected some of plain-kept, .* 'moon'"):
        chosen(['moon'])


def test_slug_makes_file_names():
    assert slug('Taught plain, 12,000 windows') == 'taught-plain-12-000-windows'
    assert slug('!') == 'model'


def test_markdown_aligns_numbers_to_the_right():
    assert markdown(['', 'a', 'b'], [['x', 'y', '.1']]) == (
        '|  | a | b |\n| --- | --- | --: |\n| x | y | .1 |'
    )


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('windows')


@pytest.fixture
def request_of(cache):
    def make(path, **changes):
        request = Request(
            path,
            Condition(),
            drives=2,
            windows=1,
            quiet_minutes=0.0,
            other_minutes=0.0,
            early_drives=0,
            cache=cache,
            seed_from=100_000,
        )
        return replace(request, **changes)

    return make


@pytest.fixture(autouse=True)
def few_labels(monkeypatch):
    """Fits baselines on few drives, since the real fit takes ten seconds."""
    monkeypatch.setattr(conditions, 'training_statistics', lambda rig: training_statistics(rig, 8))


@pytest.mark.slow
def test_study_resumes_where_it_stopped(model, steered_model, request_of, tmp_path, monkeypatch):
    study = tmp_path / 'study'
    run_study(request_of(model), study, ['plain-kept'])
    one = study / 'plain-kept'
    assert {path.name for path in one.iterdir()} == {'baselines.json', 'loudness.json'}
    assert list(json.loads((one / 'loudness.json').read_text())['rows']) == ['loudness']

    measured = []
    measure = conditions.measure

    def count(request, *rest):
        measured.append((request.label, request.baselines))
        return measure(request, *rest)

    monkeypatch.setattr(conditions, 'measure', count)
    run_study(request_of(model), study, ['plain-kept'])
    assert measured == []
    older = json.loads((one / 'baselines.json').read_text())
    del older['settings']['condition']['other_db'], older['settings']['early_drives']
    (one / 'baselines.json').write_text(json.dumps(older))
    run_study(request_of(model), study, ['plain-kept'])
    assert measured == [], 'a setting missing from the file was not in use'
    run_study(request_of(steered_model, name='New one'), study, ['plain-kept'])
    assert measured == [('New one', False)]
    (one / 'loudness.json').write_text('damaged')
    run_study(request_of(model), study, ['plain-kept'])
    run_study(request_of(model, drives=1), study, ['plain-kept'])
    assert measured[1:] == [('loudness', False), ('loudness', True)]
    rows = read_study(study)['plain-kept']['rows']
    assert list(rows) == [
        'SRP-PHAT',
        'constant boxes',
        'loudness',
        'New one',
        'New one, true geometry',
    ]


def test_baselines_are_fitted_on_the_requested_rig(model, request_of, tmp_path, rig, monkeypatch):
    """Labels of a camera with twice the horizontal focal length are twice as wide."""
    monkeypatch.setattr(conditions, 'training_statistics', lambda rig: training_statistics(rig, 1))
    given = []

    def stop(request, progress, statistics):
        given.append(statistics)
        raise AvdetError('stopped')

    monkeypatch.setattr(conditions, 'measure', stop)
    text = default_rig_path().read_text()
    assert text.count('focal_px: [1000.0, 1000.0]') == 1
    path = tmp_path / 'rig.yaml'
    path.write_text(text.replace('focal_px: [1000.0, 1000.0]', 'focal_px: [2000.0, 1000.0]'))
    for rig_path in (None, path):
        with pytest.raises(AvdetError, match='stopped'):
            run_study(request_of(model, rig_path=rig_path), tmp_path / 'study', ['plain-kept'])
    for statistics, its_rig in zip(given, (rig, load_rig(path)), strict=True):
        expected = training_statistics(its_rig, 1)
        np.testing.assert_array_equal(statistics.boxes_px, expected.boxes_px)
    assert not np.array_equal(given[0].boxes_px, given[1].boxes_px)


@pytest.mark.slow
def test_single_array_model_is_skipped_where_arrays_differ(model, request_of, tmp_path):
    notes = run_study(request_of(model), tmp_path, ['shape-cross'])
    assert 'shape-cross: left out' in notes[0]
    with pytest.raises(AvdetError, match='expected scores of a study, found none'):
        read_study(tmp_path)


@pytest.mark.slow
def test_dead_microphone_study_has_one_row_per_microphone(
    model, steered_model, request_of, tmp_path
):
    study = tmp_path / 'study'
    notes = run_study(request_of(model), study, ['dead-microphone'])
    assert 'has no input that marks dead microphones' in notes[0]
    run_study(request_of(steered_model), study, ['dead-microphone'])
    rows = read_study(study)['dead-microphone']['rows']
    assert list(rows) == ['steered'] + [f'steered, without microphone {n}' for n in range(1, 9)]
    (tmp_path / 'docs').mkdir()
    text = write_pages(read_study(study), tmp_path / 'docs', '')[0].read_text()
    table = text.partition('<!-- dead -->')[2].partition('<!-- end')[0]
    lines = [line for line in table.splitlines() if line.startswith('|')]
    assert len(lines) == 2 + 10
    assert lines[2].startswith('| steered |  |')
    assert [line.split('|')[2].strip() for line in lines[3:]] == [*'12345678', 'mean']


@pytest.mark.slow
def test_pages_contain_every_row_between_their_marks(steered_model, request_of, tmp_path):
    run_study(request_of(steered_model), tmp_path / 'study', ['plain-kept'])
    study = read_study(tmp_path / 'study')
    (tmp_path / 'docs').mkdir()
    pages = write_pages(study, tmp_path / 'docs', 'avdet eval bearings')
    assert [page.name for page in pages] == ['arrays.md', 'hearing.md']
    text = pages[0].read_text()
    assert '| plain, kept array | SRP-PHAT |' in text
    assert '|  | steered, true geometry |' in text
    assert 'Not measured yet.' in text, 'no shape was measured'
    assert 'plain, kept array: 2 windows of 2 drives' in text

    # Text written by hand between the sections stays.
    pages[1].write_text(
        pages[1].read_text().replace('<!-- levels -->', 'By hand.\n\n<!-- levels -->')
    )
    write_pages(study, tmp_path / 'docs', 'avdet eval bearings again')
    text = pages[1].read_text()
    assert 'By hand.' in text
    assert '    avdet eval bearings again' in text
    assert '-18 to -12 dB' in text
    pages[1].write_text('no marks')
    with pytest.raises(AvdetError, match=r'expected one <!-- goals -->'):
        write_pages(study, tmp_path / 'docs', '')


@pytest.mark.slow
def test_bearings_command_measures_and_writes_pages(steered_model, tmp_path, capsys):
    arguments = (
        f'eval bearings --model {steered_model} --name mine --drives 1 --quiet-minutes 0 '
        f'--other-minutes 0 --only shape-cross --cache-gb 0 '
        f'--out {tmp_path / "study"} --pages {tmp_path}'
    )
    with pytest.raises(SystemExit) as ended:
        cli.app(arguments.split())
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert 'mine, true' in printed
    assert '| cross |' in (tmp_path / 'arrays.md').read_text()
