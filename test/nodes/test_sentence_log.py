"""The terminal has each fault once, and when it is over."""

from __future__ import annotations

from avdet_ros.nodes.diagnostics import ERROR, OK, WARN, Report
from avdet_ros.nodes.sentence_log import QUIET_S, WELL_S, SentenceLog


def report(*faults, ok='100 windows sent'):
    made = Report()
    for level, sentence in faults:
        made.add(level, sentence)
    if not faults:
        made.ok(ok)
    return made


def test_a_fault_is_logged_when_it_comes_and_when_it_is_over():
    log = SentenceLog()
    assert log.news(report(), 0.0, ()) is None
    assert log.news(report((ERROR, 'nothing on /a for 2 s')), 1.0, ()) == (
        ERROR,
        'nothing on /a for 2 s',
    )
    for second in range(2, 200):  # the seconds go on; the sentence is the same
        fault = (ERROR, f'nothing on /a for {second} s')
        assert log.news(report(fault), second, ()) is None
    assert log.news(report(), 200.0, ()) is None
    assert log.news(report(), 200.0 + WELL_S, ()) == (OK, 'well again: 100 windows sent')
    assert log.news(report(), 210.0, ()) is None


def test_a_second_fault_is_logged_beside_the_first():
    log = SentenceLog()
    assert log.news(report((WARN, 'a'), (ERROR, 'b')), 0.0, ()) == (ERROR, 'a; b')
    assert log.news(report((WARN, 'a'), (ERROR, 'b'), (WARN, 'c')), 1.0, ()) == (WARN, 'c')


def test_what_comes_and_goes_fills_no_terminal():
    log = SentenceLog()
    lines = []
    for second in range(round(QUIET_S)):
        made = report((WARN, 'late')) if second % 8 < 2 else report()
        lines.append(log.news(made, float(second), ()))
    assert [line[1] for line in lines if line] == ['late', 'well again: 100 windows sent']
    assert log.news(report((WARN, 'late')), 3 * QUIET_S, ()) == (WARN, 'late')


def test_what_the_node_has_said_itself_is_not_said_twice():
    log = SentenceLog()
    assert log.news(report((ERROR, 'no such file')), 0.0, {'no such file'}) is None
    assert log.news(report(), 1.0, ()) is None
    assert log.news(report(), 1.0 + WELL_S, ()) == (OK, 'well again: 100 windows sent')
