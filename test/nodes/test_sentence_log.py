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
    assert log.new_line(report(*faults), now_s, ()) is None
    return log.new_line(report(*faults), now_s + HOLD_S, ())


def test_fault_is_logged_at_its_start_and_end():
    log = SentenceLog()
    assert log.new_line(report(), 0.0, ()) is None
    line = None
    for second in range(1, 5):
        assert line is None
        line = log.new_line(report((ERROR, f'nothing on /a for {second} s')), second, ())
    assert line == (ERROR, 'nothing on /a for 4 s')
    for second in range(5, 200):  # only the number of seconds changes, not the sentence
        fault = (ERROR, f'nothing on /a for {second} s')
        assert log.new_line(report(fault), second, ()) is None
    assert log.new_line(report(), 200.0, ()) is None
    assert log.new_line(report(), 200.0 + WELL_S, ()) == (OK, 'recovered: 100 windows sent')
    assert log.new_line(report(), 210.0, ()) is None


def test_second_fault_is_logged_separately():
    log = SentenceLog()
    assert held(log, 0.0, (WARN, 'a'), (ERROR, 'b')) == (ERROR, 'a; b')
    assert held(log, 9.0, (WARN, 'a'), (ERROR, 'b'), (WARN, 'c')) == (WARN, 'c')


def test_short_fault_is_not_logged():
    log = SentenceLog()
    for second in range(60):  # as from nodes that start repeatedly
        made = report((ERROR, 'nothing yet')) if second % 6 < HOLD_S else report()
        assert log.new_line(made, second, ()) is None


def test_intermittent_fault_is_logged_only_once():
    log = SentenceLog()
    lines = []
    for second in range(round(QUIET_S)):
        made = report((WARN, 'late')) if second % 9 < 5 else report()
        lines.append(log.new_line(made, float(second), ()))
    assert [line[1] for line in lines if line] == ['late', 'recovered: 100 windows sent']
    assert held(log, 3 * QUIET_S, (WARN, 'late')) == (WARN, 'late')


def test_fault_logged_by_the_node_is_not_repeated():
    log = SentenceLog()
    assert log.new_line(report((ERROR, 'no such file')), 0.0, {'no such file'}) is None
    assert log.new_line(report(), 1.0, ()) is None
    assert log.new_line(report(), 1.0 + WELL_S, ()) == (OK, 'recovered: 100 windows sent')


def test_end_of_source_is_logged_as_a_separate_line():
    log, ended = SentenceLog(), Report()
    ended.once('drive 1 has ended after 138 windows')
    assert ended.message == 'drive 1 has ended after 138 windows'
    assert held(log, 0.0, (WARN, 'late')) == (WARN, 'late')
    assert log.new_line(ended, 4.0, ()) == (OK, 'drive 1 has ended after 138 windows')
    for second in range(5, 20):  # and no "recovered" for the earlier fault
        assert log.new_line(ended, float(second), ()) is None
    assert log.new_line(report(), 20.0, ()) is None
    assert log.new_line(ended, 30.0, ()) == (OK, 'drive 1 has ended after 138 windows')
