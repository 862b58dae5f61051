"""What a node says of itself each second, of its clock and priority, and what the log gets."""

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
    """Values, and what is wrong with them."""

    def __init__(self, **values):
        super().__init__(**values)
        self.warnings, self.lost = [], []

    def without_topic(self):
        return self.lost


class Node:
    """As much of a node as a report looks at; everything is set by hand."""

    NAME = 'tracker'

    def __init__(self):
        self.state, self.fault, self.wanted = 'active', '', True
        self.problems, self.p = RecentProblems(), Parameters(real_time_priority=0)
        self.sent, self.lines, self.made, self.adapted = [], [], [], 0
        self.ros_ns, self.clocks, self.sim_time = 5_000_000_000, 0, False
        self.say = lambda report: report.ok('3 windows')

    def create_publisher(self, *arguments):
        self.made.append(arguments)
        return SimpleNamespace(publish=self.sent.append)

    def adapt_subscriptions(self):
        self.adapted += 1

    def diagnose(self, report):
        self.say(report)

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
    """Monotonic time, set by hand."""
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


def test_an_active_node_says_what_it_does(node):
    assert node.made == [(DiagnosticArray, '/diagnostics', 10)]
    assert published(node) == (0, '3 windows', {'state': 'active'})
    assert node.sent[0].header.stamp.sec == 5
    assert node.adapted == 1
    node.ros_ns = 0  # sim time has not begun
    published(node)
    assert node.sent[1].header.stamp.sec > 1_000_000_000


def test_problems_parameters_and_the_nodes_own_words_are_in_one_report(node):
    node.problems.add('stamp', WARN, 'no stamp')
    node.p.lost, node.p.warnings = ['no such topic'], ['no such name']
    node.say = lambda report: report.error('no model')
    sentences = 'no model; no stamp; no such topic; no such name'
    assert published(node) == (2, sentences, {'state': 'active'})


@pytest.mark.parametrize(
    ('state', 'wanted', 'level', 'sentence'),
    [
        ('inactive', True, 0, 'working'),
        ('inactive', False, 1, 'inactive: activate it or call /avdet/tracker/enable'),
        ('unconfigured', False, 1, 'unconfigured: activate it or call /avdet/tracker/enable'),
        ('finalized', True, 1, 'finalized: only a new process comes up again'),
        ('finalized', False, 1, 'finalized: only a new process comes up again'),
    ],
)
def test_a_node_that_is_not_active_says_so(node, state, wanted, level, sentence):
    node.state, node.wanted = state, wanted
    assert published(node) == (level, sentence, {'state': state})
    assert node.adapted == 0
    node.fault = 'no such file'
    assert published(node)[:2] == (2, 'no such file')


def test_diagnostics_that_fail_are_a_fault_and_in_the_log_with_their_place(node):
    def fail(report):
        report.ok('so far')
        raise KeyError('bug')

    node.say = fail
    assert published(node)[:2] == (2, "diagnostics: KeyError: 'bug'")
    (level, line) = node.lines[0]
    assert level == 'error'
    assert line.startswith('Traceback')
    assert "raise KeyError('bug')" in line


def test_what_holds_is_in_the_log_once_in_its_level(node, now):
    words = {'info': '', 'warning': 'late', 'error': 'no model'}
    node.say = lambda report: report.warn(words['warning'])
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines == [('warning', 'late')]
    node.say = lambda report: report.error(words['error'])
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines[1:] == [('error', 'no model')]
    node.say = lambda report: report.ok('3 windows')
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines[2:] == [('info', 'well again: 3 windows')]


def test_what_was_logged_already_is_not_said_again(node, now):
    node.problems.add('stamp', WARN, 'no stamp', hold_s=1e9)
    node.p.warnings = ['no such name']
    node.report.logged = deque(['[WARN] source: xrun, at 12 s'])
    node.say = lambda report: report.warn('xrun')
    for _ in range(10):
        published(node)
        now.s += 1
    node.fault = 'no such file'
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines == []
    node.fault, node.say = '', lambda report: report.warn('late')
    for _ in range(10):
        published(node)
        now.s += 1
    assert node.lines == [('warning', 'late')]
    assert node.report.logged.maxlen is None  # ours, of this test
    assert SelfReport(node).logged.maxlen == 50


def test_a_missing_clock_is_an_error_once_there_was_time_for_it(node, now):
    node.sim_time = True
    now.s += 2.0
    assert published(node)[0] == 0
    now.s += 0.1
    assert published(node)[:2] == (2, 'use_sim_time is true and nothing publishes /clock')
    assert not node.report.clock_still
    node.sim_time = False
    assert published(node)[0] == 0


def test_a_clock_that_stands_still_is_noted_until_it_moves(node, now):
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


def test_priority_is_asked_for_where_it_is_wanted_and_a_refusal_is_logged_once(node, monkeypatch):
    asked, answer = [], ['']
    monkeypatch.setattr(module, 'raise_priority', lambda *words: asked.append(words) or answer[0])
    assert 'real_time_priority' not in published(node)[2]
    assert asked == []
    node.NAME = 'overlay'  # which has no such parameter
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
    node.report.ask_priority(report)
    assert report.values == {'real_time_priority': 'refused: no right'}
    assert node.lines == [('warning', 'refused: no right')] * 2
