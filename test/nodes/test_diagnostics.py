"""Diagnostic reports, counters and statistics with known numbers."""

from __future__ import annotations

import pytest

from avdet_ros.nodes import diagnostics
from avdet_ros.nodes.diagnostics import (
    ERROR,
    OK,
    WARN,
    LatencyStats,
    RateCounter,
    RecentProblems,
    Report,
    to_message,
)


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that advances only when a test sets it."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(diagnostics, 'time', clock)
    return clock


def test_worst_level_is_reported_and_its_sentence_comes_first():
    report = Report()
    report.ok('12 windows sent')
    assert (report.level, report.message, report.faults) == (OK, '12 windows sent', [])
    report.warn('late')
    report.error('no model')
    report.warn('late')
    report.ok('more')
    assert report.level == ERROR
    assert report.message == 'no model; late'
    assert report.faults == [(WARN, 'late'), (ERROR, 'no model'), (WARN, 'late')]


def test_floats_are_reported_with_four_significant_digits():
    report = Report()
    report.value(ms=12.34567, rate=0.000123456, count=123456, name='left', on=True)
    assert report.values == {
        'ms': '12.35',
        'rate': '0.0001235',
        'count': '123456',
        'name': 'left',
        'on': 'True',
    }


def test_problem_is_new_once_and_expires_after_its_hold_time(clock):
    problems = RecentProblems(hold_s=5.0)
    assert problems.add('stamp', WARN, 'no stamp')
    clock.now += 4.9
    assert not problems.add('stamp', ERROR, 'no stamp at all')  # extends the hold time
    clock.now += 4.9
    report = Report()
    problems.add_to(report)
    assert report.faults == [(ERROR, 'no stamp at all')]
    clock.now += 0.2
    report = Report()
    problems.add_to(report)
    assert (report.level, report.message) == (OK, '')
    assert problems.add('stamp', WARN, 'no stamp')


def test_problem_can_be_held_longer_or_ended(clock):
    problems = RecentProblems(hold_s=5.0)
    problems.add('disk', WARN, 'disk', hold_s=100.0)
    problems.add('array', WARN, 'array')
    assert problems.sentences == ['disk', 'array']
    clock.now += 50
    report = Report()
    problems.add_to(report)
    assert report.message == 'disk'
    problems.end('disk')
    problems.end('nothing')
    assert problems.sentences == ['array']


def test_latency_stats_cover_the_newest_durations():
    stats, report = LatencyStats(keep=101), Report()
    stats.add_to(report, 'late')
    assert report.values == {}
    for milliseconds in [9000.0, *range(200, 99, -1)]:
        stats.add(float(milliseconds))
    stats.add_to(report, 'late')
    assert report.values == {'late_ms_p50': '150', 'late_ms_p99': '199', 'late_ms_max': '200'}
    stats.clear()
    report = Report()
    stats.add_to(report, 'late')
    assert report.values == {}


def test_rate_counter_measures_since_the_previous_call(clock):
    counter = RateCounter()
    counter.add()
    counter.add(29)
    clock.now += 2.0
    assert counter.per_second() == pytest.approx(15)
    counter.add(4)
    clock.now += 0.5
    assert counter.per_second() == pytest.approx(8)
    assert counter.count == 34
    assert counter.per_second() == 0


def test_diagnostic_message_contains_the_report():
    from builtin_interfaces.msg import Time

    report = Report()
    report.value(windows_in=3)
    message = to_message(Time(sec=7), '/avdet/detector', report)
    (status,) = message.status
    assert (message.header.stamp.sec, status.name) == (7, '/avdet/detector')
    assert (status.level, status.message) == (b'\0', 'working')
    assert status.hardware_id == 'avdet'
    assert [(value.key, value.value) for value in status.values] == [('windows_in', '3')]
    report.error('gone')
    assert to_message(Time(), 'x', report).status[0].level == b'\2'
    assert to_message(Time(), 'x', report).status[0].message == 'gone'
