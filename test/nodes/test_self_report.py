"""What a node reports each second, including its clock and priority, and what it logs."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

from diagnostic_msgs.msg import DiagnosticArray
import pytest
from rclpy.time import Time

from avdet_ros.nodes import self_report as module
from avdet_ros.nodes.diagnostics import WARN, RecentProblems, Report
from avdet_ros.nodes.self_report import SLOW_THREADS, SelfReport

pytestmark = pytest.mark.ros


class Parameters(dict):
    """Parameter values and their problems."""

    def __init__(self, **values):
        super().__init__(**values)
        self.warnings, self.lost = [], []

    def without_topic(self):
        return self.lost


class Node:
    """The parts of a node that a report reads; tests set all of them."""

    NAME = 'tracker'

    def __init__(self):
        self.state, self.fault, self.should_be_active = 'active', '', True
        self.problems, self.p = RecentProblems(), Parameters(real_time_priority=0)
        self.sent, self.lines, self.made, self.adapted = [], [], [], 0
        self.ros_ns, self.clocks, self.sim_time = 5_000_000_000, 0, False
        self.on_diagnose = lambda report: report.ok('3 windows')

    def create_publisher(self, *arguments):
        self.made.append(arguments)
        return SimpleNamespace(publish=self.sent.append)

    def adapt_subscriptions(self):
        self.adapted += 1

    def diagnose(self, report):
        self.on_diagnose(report)

    def get_logger(self):
        take = lambda level: lambda line: self.lines.append((level, line))  # noqa: E731
        return SimpleNamespace(info=take('info'), warning=take('warning'), error=take('error'))

    def get_fully_qualified_name(self):
        return '/avdet/tracker'

    def get_clock(self):
        return SimpleNamespace(now=lambda: Time(nanoseconds=self.ros_ns))

    def now_ns(self):
        return self.ros_ns

    def get_parameter(self, name):
        assert name == 'use_sim_time'
        return SimpleNamespace(value=self.sim_time)

    def count_publishers(self, topic):
        assert topic == '/clock'
        return self.clocks


@pytest.fixture
def now(monkeypatch):
    """Monotonic time, set by the test."""
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr(module.time, 'monotonic', lambda: now.s)
    return now


@pytest.fixture
def node(now):
    node = Node()
    node.report = SelfReport(node)
    return node


def published(node):
    """Level, message and values of the next report."""
    node.report.publish()
    (status,) = node.sent[-1].status
    assert status.name == '/avdet/tracker'
    return status.level[0], status.message, {value.key: value.value for value in status.values}


def test_active_node_reports_its_activity(node):
    assert node.made == [(DiagnosticArray, '/diagnostics', 10)]
    assert published(node) == (0, '3 windows', {'state': 'active'})
    assert node.sent[0].header.stamp.sec == 5
    assert node.adapted == 1
    node.ros_ns = 0  # simulated time has not started
    published(node)
    assert node.sent[1].header.stamp.sec > 1_000_000_000


def test_report_combines_problems_parameters_and_node_diagnostics(node):
    node.problems.add('stamp', WARN, 'no stamp')
    node.p.lost, node.p.warnings = ['no such topic'], ['no such name']
    node.on_diagnose = lambda report: report.error('no model')
    sentences = 'no model; no stamp; no such topic; no such name'
    assert published(node) == (2, sentences, {'state': 'active'})


@pytest.mark.parametrize(
    ('state', 'wanted', 'level', 'sentence'),
    [
        ('inactive', True, 0, 'working'),
        ('inactive', False, 1, 'inactive: activate it or call /avdet/tracker/enable'),
        ('unconfigured', False, 1, 'unconfigured: activate it or call /avdet/tracker/enable'),
        ('finalized', True, 1, 'finalized: restart the process'),
        ('finalized', False, 1, 'finalized: restart the process'),
    ],
)
def test_inactive_node_reports_its_state(node, state, wanted, level, sentence):
    node.state, node.should_be_active = state, wanted
    assert published(node) == (level, sentence, {'state': state})
    assert node.adapted == 0
    node.fault = 'no such file'
    assert published(node)[:2] == (2, 'no such file')


def test_failing_diagnostics_are_a_fault_logged_with_traceback(node):
    def fail(report):
        report.ok('so far')
        raise KeyError('bug')

    node.on_diagnose = fail
    assert published(node)[:2] == (2, "diagnostics: KeyError: 'bug'")
    (level, line) = node.lines[0]
    assert level == 'error'
    assert line.startswith('Traceback')
    assert "raise KeyError('bug')" in line


def test_persistent_sentence_is_logged_once_at_its_level(node, now):
    words = {'info': '', 'warning': 'late', 'error': 'no model'}
    node.on_diagnose = lambda report: report.warn(words['warning'])
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines == [('warning', 'late')]
    node.on_diagnose = lambda report: report.error(words['error'])
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines[1:] == [('error', 'no model')]
    node.on_diagnose = lambda report: report.ok('3 windows')
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines[2:] == [('info', 'recovered: 3 windows')]


def test_already_logged_sentence_is_not_logged_again(node, now):
    node.problems.add('stamp', WARN, 'no stamp', hold_s=1e9)
    node.p.warnings = ['no such name']
    node.report.logged = deque(['[WARN] source: xrun, at 12 s'])
    node.on_diagnose = lambda report: report.warn('xrun')
    for _ in range(10):
        published(node)
        now.s += 1
    node.fault = 'no such file'
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines == []
    node.fault, node.on_diagnose = '', lambda report: report.warn('late')
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines == [('warning', 'late')]
    assert node.report.logged.maxlen is None  # the deque of this test
    assert SelfReport(node).logged.maxlen == 50


def test_missing_clock_is_an_error_after_two_seconds(node, now):
    node.sim_time = True
    now.s += 2.0
    assert published(node)[0] == 0
    now.s += 0.1
    assert published(node)[:2] == (2, 'use_sim_time is true and nothing publishes /clock')
    assert not node.report.clock_still
    node.sim_time = False
    assert published(node)[0] == 0


def test_stopped_clock_is_reported_until_it_moves(node, now):
    node.sim_time, node.clocks = True, 1
    published(node)
    now.s += 1.5
    assert published(node)[0] == 0
    now.s += 0.1
    assert published(node)[:2] == (1, '/clock stands still at 5.0 s')
    assert node.report.clock_still
    node.ros_ns += 1
    assert published(node)[0] == 0
    assert not node.report.clock_still
    now.s += 1.6
    assert published(node)[0] == 1
    node.sim_time = False
    assert published(node)[0] == 0
    assert not node.report.clock_still


def test_priority_is_requested_when_set_and_a_refusal_is_logged_once(node, monkeypatch):
    asked, answer = [], ['']
    monkeypatch.setattr(module, 'raise_priority', lambda *words: asked.append(words) or answer[0])
    assert 'real_time_priority' not in published(node)[2]
    assert asked == []
    node.NAME = 'overlay'  # it has no such parameter
    node.p['real_time_priority'] = 20
    assert 'real_time_priority' not in published(node)[2]
    node.NAME = 'tracker'
    assert published(node)[2]['real_time_priority'] == '20, granted'
    assert asked == [(20, SLOW_THREADS)]
    answer[0] = 'refused: no right'
    for _ in range(3):
        assert published(node)[2]['real_time_priority'] == 'refused: no right'
    assert node.lines == [('warning', 'refused: no right')]
    answer[0] = ''
    published(node)
    answer[0] = 'refused: no right'
    report = Report()
    node.report.request_priority(report)
    assert report.values == {'real_time_priority': 'refused: no right'}
    assert node.lines == [('warning', 'refused: no right')] * 2
