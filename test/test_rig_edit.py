"""A calibrated copy of a rig file has the new values and keeps everything else."""

from __future__ import annotations

from dataclasses import replace

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import yaml

from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path, load_rig, parse_rig
from avdet_ros.rig_edit import MicrophoneValues, calibrated_text, write_calibrated

TEXT = default_rig_path().read_text()


def values_of(text):
    """Return the values of the microphones in a rig file."""
    entries = yaml.safe_load(text)['array']['microphones']
    return [
        MicrophoneValues(
            entry['name'],
            tuple(entry['position_m']),
            entry.get('gain_db', 0.0),
            entry.get('delay_s', 0.0),
            entry.get('dead', False),
        )
        for entry in entries
    ]


def changed(values):
    """Return values with microphone 0 moved and louder, 1 late and 2 dead."""
    first = replace(values[0], position_m=(0.256, 0.001, 0.0), gain_db=1.25, comment='± 0.1 dB')
    second = replace(values[1], delay_s=3.4e-5)
    return [first, second, replace(values[2], dead=True), *values[3:]]


def check(text, expected):
    rig = parse_rig(yaml.safe_load(text))
    assert rig.names == tuple(each.name for each in expected)
    assert rig.gain_db.tolist() == [each.gain_db for each in expected]
    assert rig.delay_s.tolist() == [each.delay_s for each in expected]
    assert rig.alive.tolist() == [not each.dead for each in expected]
    places = np.array([each.position_m for each in expected]) + rig.array_position_m
    np.testing.assert_allclose(rig.microphones_m, places, atol=1e-5)
    assert rig.channels.tolist() == load_rig().channels.tolist()


def test_values_change_and_all_else_is_kept():
    expected = changed(values_of(TEXT))
    text = calibrated_text(TEXT, expected, heading=['calibrated from a drive'])
    check(text, expected)
    lines, before = text.splitlines(), TEXT.splitlines()
    assert lines[0] == '# calibrated from a drive'
    different = [
        new for new, old in zip(lines[1:], before, strict=True) if new.rstrip() != old.rstrip()
    ]
    assert len(different) == 3
    assert different[0].endswith('gain_db: 1.25}  # ± 0.1 dB')
    assert ', delay_s: 0.000034}' in different[1]
    assert ', dead: true}' in different[2]


def test_second_calibration_replaces_the_values_of_the_first():
    expected = changed(values_of(TEXT))
    once = calibrated_text(TEXT, expected)
    assert calibrated_text(once, [replace(e, comment='') for e in expected]) == once
    plain = values_of(TEXT)
    check(calibrated_text(once, plain), plain)


def test_block_style_yaml_is_edited():
    tree = yaml.safe_load(TEXT)
    text = yaml.safe_dump(tree, sort_keys=False, default_flow_style=False)
    text = text.replace('- name: left\n', '- name: left  # blue cable\n')
    expected = changed(values_of(text))
    new = calibrated_text(text, expected)
    check(new, expected)
    assert '- name: left  # blue cable\n' in new
    assert '# ± 0.1 dB' in new


def test_yaml_aliases_are_expanded():
    text = TEXT.replace(
        'position_m: [ 0.250000,  0.000000, 0.0]', 'position_m: &here [0.25, 0, 0]'
    )
    text += '\n  # the end\n'
    text = text.replace('position_m: [0.30, 0.0, 1.55] ', 'position_m: *here')
    expected = changed(values_of(TEXT))
    new = calibrated_text(text, expected)
    check(new, expected)
    assert parse_rig(yaml.safe_load(new)).camera.position_m.tolist() == [0.25, 0, 0]
    assert '# front: ± 0.1 dB' in new


@pytest.mark.parametrize('yaw_line', ['', '  yaw_deg: 1.5  # measured\n'])
def test_yaw_is_changed_or_added(yaw_line):
    found = '  yaw_deg: 0.0                     # rotation of the array about z, left positive\n'
    assert found in TEXT
    new = calibrated_text(TEXT.replace(found, yaw_line), values_of(TEXT), yaw_deg=-2.25)
    assert parse_rig(yaml.safe_load(new)).array_yaw_deg == -2.25
    assert '# seen from above' not in new
    assert '# Eight microphones on an octagon' in new


@given(
    st.lists(st.tuples(st.floats(-40, 40), st.floats(-0.002, 0.002)), min_size=8, max_size=8),
    st.sets(st.integers(0, 7), max_size=5),
)
@settings(max_examples=examples(40), deadline=None)
def test_any_values_within_bounds_are_written_up_to_rounding(errors, dead):
    values = [
        replace(each, gain_db=gain, delay_s=delay, dead=index in dead)
        for index, (each, (gain, delay)) in enumerate(zip(values_of(TEXT), errors, strict=True))
    ]
    rig = parse_rig(yaml.safe_load(calibrated_text(TEXT, values)))
    np.testing.assert_allclose(rig.gain_db, [gain for gain, _ in errors], atol=0.0051)
    np.testing.assert_allclose(rig.delay_s, [delay for _, delay in errors], atol=5.1e-9)
    assert np.flatnonzero(~rig.alive).tolist() == sorted(dead)


def test_original_rig_file_is_never_overwritten(tmp_path):
    path = tmp_path / 'rig.yaml'
    path.write_text(TEXT)
    with pytest.raises(AvdetError, match='expected another file than the rig itself'):
        write_calibrated(path, path, values_of(TEXT))
    write_calibrated(path, tmp_path / 'new.yaml', changed(values_of(TEXT)))
    assert load_rig(tmp_path / 'new.yaml').gain_db[0] == 1.25
    assert path.read_text() == TEXT
    with pytest.raises(AvdetError, match='cannot write'):
        write_calibrated(path, path / 'new.yaml', values_of(TEXT))


def test_values_beyond_the_bounds_are_not_written(tmp_path):
    path = tmp_path / 'rig.yaml'
    path.write_text(TEXT)
    values = [replace(values_of(TEXT)[0], gain_db=50), *values_of(TEXT)[1:]]
    with pytest.raises(
        AvdetError, match=r'^calibrated rig: .*gain_db: expected a number from -40 to 40, found 50'
    ):
        write_calibrated(path, tmp_path / 'new.yaml', values)
    assert not (tmp_path / 'new.yaml').exists()


def test_values_rounded_to_zero_have_no_sign():
    values = [replace(values_of(TEXT)[0], gain_db=-1e-9, delay_s=-1e-12), *values_of(TEXT)[1:]]
    text = calibrated_text(TEXT, values)
    assert '-0.0' not in text
    check(text, values_of(TEXT))


def test_comment_is_on_the_line_of_its_entry():
    """Entries in braces are on one line each, followed by their comments."""
    expected = [replace(each, comment=f'the {each.name} one') for each in values_of(TEXT)]
    text = calibrated_text(TEXT, expected)
    for line in text.splitlines():
        for each in expected:
            assert (f'name: {each.name},' in line) == (f'# the {each.name} one' in line)


def test_delays_are_written_to_10_ns_and_positions_to_1_um():
    values = [
        replace(each, delay_s=1.234567e-5, gain_db=1.23456, position_m=(0.1234567, index, 0.5))
        for index, each in enumerate(values_of(TEXT))
    ]
    entry = yaml.safe_load(calibrated_text(TEXT, values))['array']['microphones'][2]
    assert entry['delay_s'] == pytest.approx(1.235e-5, abs=1e-12)
    assert entry['gain_db'] == 1.23
    assert entry['position_m'] == [0.123457, 2, 0.5]


def test_second_comment_is_appended_to_the_first():
    first = [replace(values_of(TEXT)[0], comment='± 0.1 dB'), *values_of(TEXT)[1:]]
    once = calibrated_text(TEXT, first)
    again = [replace(values_of(once)[0], comment='heard well'), *values_of(once)[1:]]
    line = next(line for line in calibrated_text(once, again).splitlines() if 'heard' in line)
    assert line.endswith('± 0.1 dB; heard well')


def test_missing_rig_file_is_reported(tmp_path):
    with pytest.raises(AvdetError, match=r'^cannot read the rig file '):
        write_calibrated(tmp_path / 'rig.yaml', tmp_path / 'new.yaml', values_of(TEXT))


def test_comments_move_to_the_top_if_aliases_are_expanded():
    text = TEXT.replace(
        'position_m: [ 0.250000,  0.000000, 0.0]', 'position_m: &here [0.25, 0, 0]'
    ).replace('position_m: [0.30, 0.0, 1.55] ', 'position_m: *here')
    values = changed(values_of(TEXT))
    values[5] = replace(values[5], gain_db=-2.0, comment='heard badly')
    lines = calibrated_text(text, values, heading=['by hand']).splitlines()
    assert lines[:3] == ['# by hand', '# front: ± 0.1 dB', f'# {values[5].name}: heard badly']
    assert not lines[3].startswith('#')
