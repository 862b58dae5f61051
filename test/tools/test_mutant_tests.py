"""Selection and order of the tests that try a mutant; mutmut itself is not run here."""

from __future__ import annotations

import subprocess
import sys
import time

import mutant_tests
import pytest

OWN = 'test/audio/test_clock.py::test_a'
NAMESAKE = 'test/sources/test_clock_drift.py::test_b'
KEPT = 'test/audio/test_kept_drives.py::test_c'
QUICK, LONG = 'test/audio/test_mixed.py::test_d', 'test/audio/test_mixed.py::test_e'
DURATIONS_S = {OWN: 4.0, NAMESAKE: 3.0, KEPT: 6.0, QUICK: 1.0, LONG: 9.0}
CLOCK = 'avdet_ros.audio.clock'


def chosen(most_s: float, always: str = '') -> list[str]:
    return mutant_tests.in_time(CLOCK, DURATIONS_S, DURATIONS_S, most_s, always)


def test_own_tests_of_a_module_come_first_then_quick_ones():
    assert chosen(0) == [OWN, NAMESAKE, QUICK, KEPT, LONG]


def test_tests_beyond_the_time_are_skipped_for_shorter_ones():
    assert chosen(8) == [OWN, NAMESAKE, QUICK]
    assert chosen(14) == [OWN, NAMESAKE, QUICK, KEPT]
    assert chosen(5) == [OWN, QUICK]


def test_first_test_is_always_chosen():
    assert chosen(0.5) == [OWN]


def test_tests_always_included_follow_those_of_the_module():
    assert chosen(0, 'kept_drives') == [OWN, NAMESAKE, KEPT, QUICK, LONG]
    assert chosen(5, 'kept_drives') == [OWN, KEPT]


def test_tests_of_equal_duration_keep_their_order():
    tests = ['test/b.py::test_1', 'test/a.py::test_2', 'test/a.py::test_1']
    assert mutant_tests.in_time(CLOCK, tests, {}, 0) == tests


def test_ordered_tests_keep_their_order_whatever_their_duration():
    found = mutant_tests.in_time(CLOCK, [LONG, QUICK, OWN, KEPT], DURATIONS_S, 14, in_order=True)
    assert found == [OWN, LONG, QUICK]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Write mutmut's folder of a small package; returns the names of its tests."""
    monkeypatch.setattr(mutant_tests, 'MUTANTS', tmp_path)
    texts = {
        'avdet_ros/audio/clock.py': 'import os\n',
        'avdet_ros/audio/stream.py': 'from avdet_ros.audio.clock import Clock\n',
        'avdet_ros/audio/window.py': 'TEXT = "avdet_ros.audio.clock"\n',
        'test/audio/test_clock.py': '',
        'test/audio/test_clocks.py': '',
        'test/audio/test_clock_drift.py': '',
        'test/audio/test_late.py': 'from avdet_ros.audio import clock\n',
        'test/audio/test_stream.py': '',
        'test/audio/test_window.py': '',
        'test/audio/test_kept_drives.py': '',
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return sorted(f'{name}::test_it' for name in texts if name.startswith('test'))


def test_tests_by_name_are_sorted_by_nearness(copy):
    found = mutant_tests.tests_by_name([CLOCK, 'avdet_ros.audio.window'], copy, 'kept')
    assert [test.partition('::')[0].rpartition('/')[2] for test in found[CLOCK]] == [
        'test_clock.py',
        'test_clock_drift.py',
        'test_late.py',
        'test_stream.py',
        'test_kept_drives.py',
    ]
    assert found['avdet_ros.audio.window'] == [
        'test/audio/test_window.py::test_it',
        'test/audio/test_kept_drives.py::test_it',
    ]
    assert mutant_tests.tests_by_name(['avdet_ros.rig'], copy, '') == {'avdet_ros.rig': []}


def test_cases_of_one_test_share_its_estimated_second():
    tests = ['a.py::test_one', 'a.py::test_two[1-x]', 'a.py::test_two[2-[y]]', 'b.py::test_two']
    found = mutant_tests.assumed_durations_s(iter(tests))
    assert found == dict(zip(tests, (1, 0.5, 0.5, 1), strict=True))


def test_neighbouring_tests_are_added_to_those_that_reach_a_function():
    tests = sorted([*DURATIONS_S, 'test/audio/test_clock_drift.py::test_f'])
    assert mutant_tests.related_tests(CLOCK, {LONG}, tests) == [
        LONG,
        OWN,
        'test/audio/test_clock_drift.py::test_f',
        QUICK,
    ]
    assert mutant_tests.related_tests('avdet_ros.audio.mixed', set(), tests) == [QUICK, LONG]
    assert mutant_tests.related_tests('avdet_ros.rig', set(), tests) == []


def test_duration_of_a_test_is_its_cpu_time():
    begin_s = mutant_tests.cpu_s()
    time.sleep(0.2)
    assert mutant_tests.cpu_s() - begin_s < 0.15
    work = 'import time\nwhile time.process_time() < 0.2: pass'
    subprocess.run([sys.executable, '-S', '-c', work], check=True)
    assert mutant_tests.cpu_s() - begin_s >= 0.18


def test_module_of_returns_the_module_of_a_method():
    assert mutant_tests.module_of('avdet_ros.audio.clock.xǁClockǁtime_of') == CLOCK
