"""Every row of the paper's tables at toy size, and the table of the results."""

from __future__ import annotations

from dataclasses import replace
import json

import pytest

from avdet_ros.cli import main as cli
from avdet_ros.errors import AvdetError
from avdet_ros.training.recipes.read import as_yaml, read_recipe
from avdet_ros.training.studies.paper_rows import CLAIMS, ROWS, SCALES, TRACKING, row_recipe
from avdet_ros.training.studies.reproduce import reproduce
from avdet_ros.training.studies.reproduce_table import write_table

KEYS = [row.key for row in ROWS]
ABOUT = {
    'command': 'avdet train reproduce',
    'data': 'drives',
    'commit': '',
    'device': 'CPU',
    'torch': '2',
}


def row_result(average, mota=0.5):
    """Return the result of a row with a given mAP."""
    detection = {
        'map': average,
        'map50': 0.5,
        'map75': None,
        'cdx': 1.5,
        'cdy': None,
        'frames': 10,
        'boxes': 7,
    }
    tracking = {
        'mota': mota,
        'switches': 3,
        'fragmentations': 2,
        'false_positives': 4,
        'false_negatives': 5,
    }
    part = {'family': 'vehicles', 'name': '1', 'tracking': tracking}
    return {
        'scores': {
            'fused labels': {'detection': detection, 'parts': []},
            'true boxes': {'detection': detection, 'parts': [part]},
        },
        'fit': {'windows': 20, 'minutes': 1.5},
        'labels': 33,
    }


def test_rows_match_those_of_the_paper():
    assert len(set(KEYS)) == len(KEYS)
    paper = [row for row in ROWS if row.paper is not None]
    assert len(paper) == 12
    assert [row.title for row in paper[-6:]] == ['M1', 'M2', 'M3', 'M4', 'M5', 'M6']
    averages = {row.key: row.paper.map for row in paper}
    for better, worse, _ in CLAIMS:
        assert averages[better] > averages[worse], 'the claims hold in the table of the paper'
    assert set(TRACKING) <= set(averages)
    assert [row.pretext for row in ROWS if row.key in ('m5', 'm6')] == [False, True]


@pytest.mark.parametrize('scale', list(SCALES))
def test_every_row_has_a_recipe_that_can_be_read_back(scale, tmp_path):
    for row in ROWS:
        recipe = row_recipe(row, SCALES[scale])
        path = tmp_path / f'{row.key}.yaml'
        path.write_text(as_yaml(recipe))
        assert read_recipe(path) == recipe
        assert recipe.transfer.teachers == row.teachers
        assert bool(recipe.pretext.epochs) == row.pretext


def test_table_shows_our_results_next_to_those_of_the_paper(tmp_path):
    ours = {row.key: 0.30 + 0.01 * number for number, row in enumerate(ROWS)}
    results = [[row_result(ours[row.key])] for row in ROWS]
    text = write_table(tmp_path / 'results.md', ROWS, results, SCALES['small'], ABOUT).read_text()
    assert 'a difference of a few points is noise' in text
    assert 'Over several seeds' not in text
    assert 'Each student was trained on 20 windows' in text
    m6 = next(line for line in text.splitlines() if line.startswith('| M6 |'))
    assert '61.62 / 84.29 / 59.66' in m6
    assert f'{100 * ours["m6"]:.2f} / 50.00 / -' in m6
    assert m6.endswith('| 1, 1 |')
    m1 = next(line for line in text.splitlines() if line.startswith('| M1 |'))
    assert m1.endswith('| 8, 6 |')
    claim = next(line for line in text.splitlines() if 'counting first helps' in line)
    assert claim == '| counting first helps | +0.52 | +1.00 | yes | - |'
    assert '| depth added to RGB does not | +1.69 | -1.00 | no | - |' in text
    assert 'of 10 statements of the table hold here' in text
    assert '| *M6, paper* | 26.96 | 1078 | 1076 | 2758 | 3524 |' in text
    assert '| M6 | 50.00 | 3 | 2 | 4 | 5 |' in text


def test_table_marks_undefined_and_missing_differences(tmp_path):
    results = [[row_result(None, None)] for _ in ROWS]
    text = write_table(tmp_path / 'results.md', ROWS, results, SCALES['small'], ABOUT).read_text()
    assert '| counting first helps | +0.52 | - | not defined | - |' in text
    assert 'rank correlation' not in text
    same = write_table(
        tmp_path / 'same.md', ROWS, [[row_result(0.2)]] * len(ROWS), SCALES['small'], ABOUT
    ).read_text()
    assert '| counting first helps | +0.52 | +0.00 | no difference | - |' in same
    assert '0 of 10 statements' in same


def test_table_shows_mean_and_spread_of_several_seeds(tmp_path):
    results = [[row_result(0.2)] for _ in ROWS[:-1]] + [[row_result(0.1), row_result(0.3)]]
    text = write_table(tmp_path / 'results.md', ROWS, results, SCALES['small'], ABOUT).read_text()
    several = text.split('### Over several seeds')[1].split('##')[0]
    row = '| 2 | 20.00 ± 14.14 | 50.00 ± 0.00 | 20.00 ± 14.14 | 50.00 ± 0.00 |'
    assert several.count('±') == 4
    assert f'| {ROWS[-1].title} {row}' in several


def test_table_of_the_smoke_scale_draws_no_conclusions(tmp_path):
    results = [[row_result(0.01 * number)] for number, _ in enumerate(ROWS)]
    text = write_table(tmp_path / 'results.md', ROWS, results, SCALES['smoke'], ABOUT).read_text()
    assert 'the figures mean nothing' in text
    assert text.count('too small to tell') == len(CLAIMS)
    assert 'rank correlation' not in text
    m6 = next(line for line in text.splitlines() if line.startswith('| M6 |'))
    assert m6.endswith('| - |')


@pytest.fixture(scope='module')
def toy_scale():
    smoke = SCALES['smoke']
    fit = replace(smoke.fit, windows=8, batch=4)
    return replace(
        smoke,
        teachers=replace(smoke.teachers, epochs=1, width=128),
        fit=fit,
        compact_fit=fit,
        pretext=replace(smoke.pretext, batch=4),
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_row_runs_and_finished_rows_are_not_repeated(drives, toy_scale, tmp_path, log_lines):
    path = reproduce(toy_scale, tmp_path / 'out', drives)
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())['rows']
    assert list(results) == KEYS
    for key, (row,) in results.items():
        assert row['fit']['windows'] == 8, key
        assert row['scores']['true boxes']['detection']['boxes'] == 8
        assert row['scores']['true boxes']['detection']['map'] is not None
    assert sum('teacher learns' in line for line in log_lines) == 3, 'teachers are trained once'
    assert (tmp_path / 'out' / 'rows' / 'm6' / 'pretext' / 'pretext.json').exists()
    assert not (tmp_path / 'out' / 'rows' / 'm5' / 'pretext').exists()

    log_lines.clear()
    before = path.read_text()
    again = reproduce(toy_scale, tmp_path / 'out', drives)
    assert again.read_text() == before
    assert sum('done already' in line for line in log_lines) == len(ROWS)

    for seeds in (2, 1):  # finished seeds stay in the table
        reproduce(toy_scale, tmp_path / 'out', drives, rows=ROWS[-1:], seeds=seeds)
        assert f'| {ROWS[-1].title} | 2 |' in path.read_text()

    other = replace(toy_scale, fit=replace(toy_scale.fit, epochs=2))
    with pytest.raises(AvdetError, match='was started with another recipe'):
        reproduce(other, tmp_path / 'out', drives)


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (('--scale', 'tiny'), "scale: expected one of smoke, evening, small, full, found 'tiny'"),
        (('--scale', 'full'), 'scale full: expected --data'),
        (('--rows', 'm1,m7'), "found 'm7'"),
        (('--data', 'none'), 'none: expected a folder of drives'),
    ],
)
def test_invalid_options_print_one_clear_error(arguments, says, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out'
    monkeypatch.setattr('sys.argv', ['avdet', 'train', 'reproduce', *arguments, '--out', str(out)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    complaint = capsys.readouterr().err
    assert caught.value.code == 1
    assert says in ' '.join(complaint.split())
    assert 'Traceback' not in complaint
