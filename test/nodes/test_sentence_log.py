"""Each fault is logged once when it starts and once when it ends."""

from __future__ import annotations

from avdet_ros.nodes.diagnostics import ERROR, OK, WARN, Report
from avdet_ros.nodes.sentence_log import HOLD_S, QUIET_S, WELL_S, SentenceLog


def report(*faults, ok='100 windows sent'):
    made = Report()
    for level, sentence in faults:
        made.add(level, sentence)
    if not faults:
        made.ok(ok)
    return made


def held(log, now_s, *faults):
    """What is logged when faults have lasted long enough."""
    assert log.news(report(*faults), now_s, ()) is None
    return log.news(report(*faults), now_s + HOLD_S, ())


def test_fault_is_logged_at_its_start_and_end():
    log = SentenceLog()
    assert log.news(report(), 0.0, ()) is None
    line = None
    for second in range(1, 5):
        assert line is None
        line = log.news(report((ERROR, f'nothing on /a for {second} s')), second, ())
    assert line == (ERROR, 'nothing on /a for 4 s')
    for second in range(5, 200):  # only the number of seconds changes, not the sentence
        fault = (ERROR, f'nothing on /a for {second} s')
        assert log.news(report(fault), second, ()) is None
    assert log.news(report(), 200.0, ()) is None
    assert log.news(report(), 200.0 + WELL_S, ()) == (OK, 'well again: 100 windows sent')
    assert log.news(report(), 210.0, ()) is None


def test_second_fault_is_logged_separately():
    log = SentenceLog()
    assert held(log, 0.0, (WARN, 'a'), (ERROR, 'b')) == (ERROR, 'a; b')
    assert held(log, 9.0, (WARN, 'a'), (ERROR, 'b'), (WARN, 'c')) == (WARN, 'c')


def test_short_fault_is_not_logged():
    log = SentenceLog()
    for second in range(60):  # as from nodes that start repeatedly
        made = report((ERROR, 'nothing yet')) if second % 6 < HOLD_S else report()
        assert log.news(made, second, ()) is None


def test_intermittent_fault_is_logged_only_once():
    log = SentenceLog()
    lines = []
    for second in range(round(QUIET_S)):
        made = report((WARN, 'late')) if second % 9 < 5 else report()
        lines.append(log.news(made, float(second), ()))
    assert [line[1] for line in lines if line] == ['late', 'well again: 100 windows sent']
    assert held(log, 3 * QUIET_S, (WARN, 'late')) == (WARN, 'late')


def test_fault_logged_by_the_node_is_not_repeated():
    log = SentenceLog()
    assert log.news(report((ERROR, 'no such file')), 0.0, {'no such file'}) is None
    assert log.news(report(), 1.0, ()) is None
    assert log.news(report(), 1.0 + WELL_S, ()) == (OK, 'well again: 100 windows sent')


def test_end_of_source_is_logged_as_a_separate_line():
    log, ended = SentenceLog(), Report()
    ended.once('drive 1 has ended after 138 windows')
    assert ended.message == 'drive 1 has ended after 138 windows'
    assert held(log, 0.0, (WARN, 'late')) == (WARN, 'late')
    assert log.news(ended, 4.0, ()) == (OK, 'drive 1 has ended after 138 windows')
    for second in range(5, 20):  # and no "well again" for the earlier fault
        assert log.news(ended, float(second), ()) is None
    assert log.news(report(), 20.0, ()) is None
    assert log.news(ended, 30.0, ()) == (OK, 'drive 1 has ended after 138 windows')
