from __future__ import annotations

from avdet_ros.training.studies.pretexts.table import per_cent, section, write_page


def run(row, share, direction, freeze=False, seed=0):
    scores = {'direction': direction, 'map50': 0.02, 'p50_deg': 1.5, 'p90_deg': None}
    return {'row': row, 'share': share, 'seed': seed, 'freeze': freeze, **scores}


def test_numbers_show_half_the_range_of_their_seeds():
    assert per_cent([0.1, 0.2, 0.15]) == '15.0 ± 5.0'
    assert per_cent([0.1]) == '10.0'
    assert per_cent([None, 0.1]) == '10.0'
    assert per_cent([]) == '-'


def test_page_has_a_line_for_each_row(tmp_path):
    results = {
        'scale': 'small',
        'command': 'avdet train reproduce --rows pretexts',
        'student': 'image_grid',
        'labels': 'simulated',
        'runs': [
            run('none', 0.01, 0.1),
            run('none', 0.1, 0.2),
            run('none', 0.1, 0.05, freeze=True),
            run('swapped', 0.1, 0.3),
            run('swapped', 0.1, 0.4, seed=1),
            run('contrastive', 1.0, 0.3),
        ],
        'stopped': ['swapped'],
        'waiting': [],
        'lacking': {'instance': 'pretext.task: instance: expected drives'},
        'about': {'swapped': 'swapped: 60% right'},
    }
    text = write_page(tmp_path / 'page.md', results).read_text()
    lines = text.splitlines()
    assert '| none | 10.0, 2.0 | 20.0, 2.0 | -, - | 5.0 | 1.5 / - | - |' in lines
    assert '| swapped | -, - | 35.0 ± 5.0, 2.0 ± 0.0 | -, - | - | 1.5 / - | no |' in lines
    assert any(line.startswith('| contrastive') and line.endswith('| yes |') for line in lines)
    assert '- pretext.task: instance: expected drives' in lines
    assert '`avdet train reproduce --rows pretexts`' in lines
    assert 'Not decided' not in text
    half = section({**results, 'stopped': [], 'waiting': ['swapped'], 'lacking': {}})
    assert '- swapped' in half.partition('Not decided')[2]
    assert '| swapped | -, - | 35.0 ± 5.0, 2.0 ± 0.0 | -, - | - | 1.5 / - | - |' in half
    assert 'Left out' not in half
