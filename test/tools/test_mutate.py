"""Results of mutation testing are read and written; mutmut itself is not run here."""

from __future__ import annotations

from argparse import Namespace
import json
import re

from import_graph import ROOT
import mutate
import pytest


def test_outcomes_are_read_from_the_files_of_mutmut(tmp_path):
    meta = tmp_path / 'mutants' / 'avdet_ros' / 'audio' / 'clock.py.meta'
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({'exit_code_by_key': {'a__mutmut_1': 1, 'a__mutmut_2': None}}))
    found = list(mutate.mutants(tmp_path))
    assert [(m.name, m.file, m.outcome) for m in found] == [
        ('a__mutmut_1', 'avdet_ros/audio/clock.py', 1),
        ('a__mutmut_2', 'avdet_ros/audio/clock.py', None),
    ]


def test_new_row_of_a_room_replaces_the_former_one(tmp_path, monkeypatch):
    page = tmp_path / 'tests.md'
    page.write_text(f'before\n{mutate.BEGIN}\n{mutate.END}\nafter\n')
    monkeypatch.setattr(mutate, 'PAGE', page)
    before, after, audio = (
        mutate.command_of(arguments(room='tracking', most=50)),
        mutate.command_of(arguments(room='tracking', most=100, seed=1)),
        mutate.command_of(arguments(room='audio')),
    )
    mutate.write_row('tracking', '80% (66% to 89%)', '50 of 2000', 0, before)
    mutate.write_row('audio', '90%', '3000 of 3000', 2, audio)
    mutate.write_row('tracking', '85% (77% to 91%)', '100 of 2000', 1, after)
    rows = [line for line in page.read_text().splitlines() if '%' in line]
    assert [row.split('|')[1].strip() for row in rows] == ['audio', 'tracking']
    assert '85%' in rows[1]
    assert '`make mutate ROOM=tracking MOST=100 SEED=1`' in rows[1]
    assert '`make mutate ROOM=audio`' in rows[0]
    assert page.read_text().startswith('before')
    assert page.read_text().endswith('after\n')


def test_command_of_includes_the_options_used():
    by_name = arguments(room='nodes', most=60, seed=1, by_name=True)
    assert mutate.command_of(by_name) == (
        'python tools/mutate.py nodes --most 60 --seed 1 --by-name'
    )
    by_name.always = 'kept_drives'
    assert mutate.command_of(by_name).endswith(' --by-name --always kept_drives')
    slow = arguments(room='evaluation', slow=True)
    assert mutate.command_of(slow) == 'python tools/mutate.py evaluation --slow'
    longer = arguments(room='bags', most=40, seconds=45.0)
    assert mutate.command_of(longer) == 'python tools/mutate.py bags --most 40 --seconds 45'


def arguments(room, most=0, seed=0, by_name=False, seconds=mutate.SECONDS, always='', slow=False):
    return Namespace(
        room=room,
        most=most,
        seed=seed,
        by_name=by_name,
        seconds=seconds,
        always=always,
        slow=slow,
    )


def test_equivalent_mutants_have_a_reason_and_a_file_or_pattern():
    for entry in mutate.yaml.safe_load(mutate.EQUIVALENT.read_text()) or []:
        assert entry['reason'].strip()
        if 'pattern' in entry:
            assert re.compile(entry['pattern'])
        elif 'function' in entry:
            module = entry['function'].rpartition('.x')[0]
            assert (ROOT / f'{module.replace(".", "/")}.py').is_file()
        else:
            assert (ROOT / entry['file']).is_file()
            assert entry['change'].strip().startswith('-')


@pytest.mark.parametrize(
    ('change', 'excused'),
    [
        ('- a = b\n+ a = c', True),
        ('- a = b\n+ a = d', False),
        ('- for i in zip(a, b, strict=True):\n+ for i in zip(a, b, strict=None):', True),
        ('- for i in zip(a, b, strict=True):\n+ for i in zip(a, strict=True):', False),
    ],
)
def test_equivalent_mutants_are_excused(change, excused):
    entries = mutate.yaml.safe_load(mutate.EQUIVALENT.read_text())
    entries.append({'file': 'f.py', 'change': '- a = b\n+ a = c\n', 'reason': 'x'})
    assert mutate.excuse(mutate.Mutant('m', 'f.py', 0), change, entries) == excused
    assert mutate.excuse(mutate.Mutant('m', 'g.py', 0), change, entries) == (
        excused and 'zip' in change
    )


def test_sample_is_reproducible_and_grows():
    every = [mutate.Mutant(f'avdet_ros.audio.clock.x_f__mutmut_{i}', 'f', None) for i in range(60)]
    few, more = mutate.sample(every, 20, 0), mutate.sample(every[::-1], 30, 0)
    assert more[:20] == few
    assert {mutant.name for mutant in mutate.sample(every, 0, 0)} == {m.name for m in every}
    assert mutate.sample(every, 20, 1) != few
    # One more mutant of the room replaces at most one of the sample.
    extra = mutate.Mutant('avdet_ros.audio.clock.x_g__mutmut_1', 'f', None)
    assert len(set(mutate.sample([*every, extra], 20, 0)) & set(few)) >= 19


def test_score_of_a_sample_has_a_confidence_interval():
    assert mutate.share_noticed(85, 100, 2000) == '85% (77% to 91%)'
    assert mutate.share_noticed(85, 100, 100) == '85%'


def test_room_is_a_folder_or_a_prefix_of_module_names():
    assert {path.name for path in mutate.modules('rig')} == {
        'rig.py',
        'rig_edit.py',
        'rig_match.py',
    }
    assert ROOT / 'avdet_ros/tracking/kalman.py' in mutate.modules('tracking')
    assert mutate.modules('nowhere') == []
