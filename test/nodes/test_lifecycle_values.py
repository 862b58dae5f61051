"""Common node code, called directly: transitions, enabling, failures and missing messages."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from rclpy.parameter import Parameter
from std_msgs.msg import Float64
from std_srvs.srv import SetBool

from avdet_ros.errors import AvdetError
from avdet_ros.nodes import qos
from avdet_ros.nodes.adaptive import AdaptiveSubscription
from avdet_ros.nodes.diagnostics import ERROR, WARN, Report
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros


class FailingTracker(TrackerNode):
    """A tracker whose steps fail on request and that records the calls."""

    def __init__(self, **options):
        self.called, self.fails = [], {}
        super().__init__(**options)

    def step(self, name):
        self.called.append(name)
        if error := self.fails.get(name):
            raise error

    def load(self):
        self.step('load')

    def acquire(self):
        self.step('acquire')

    def release(self):
        self.step('release')

    def unload(self):
        self.step('unload')

    def parameters_changed(self, news):
        self.step('changed')


@pytest.fixture
def node(ros):
    """A tracker that is not spun and not started."""
    node = FailingTracker(namespace='/avdet')
    yield node
    node.fails = {}
    node.destroy_node()


def enable(node, on):
    answer = node._on_enable(SetBool.Request(data=on), SetBool.Response())
    return answer.success, answer.message


def test_each_transition_calls_its_step(node):
    for transition, steps, state in (
        (node.trigger_configure, ['load'], 'inactive'),
        (node.trigger_activate, ['acquire'], 'active'),
        (node.trigger_deactivate, ['release'], 'inactive'),
        (node.trigger_activate, ['acquire'], 'active'),
        (node.trigger_deactivate, ['release'], 'inactive'),
        (node.trigger_cleanup, ['unload'], 'unconfigured'),
        (node.trigger_configure, ['load'], 'inactive'),
        (node.trigger_shutdown, ['release', 'unload'], 'finalized'),
    ):
        node.called.clear()
        transition()
        assert (node.called, node.state) == (steps, state)
    assert (node.should_be_active, node.fault) == (False, '')


def test_deactivated_node_stays_inactive_until_autostart_is_set(node):
    assert node.should_be_active
    assert node.try_start()
    node.trigger_deactivate()
    assert not node.should_be_active
    node._retry()
    assert node.state == 'inactive'
    node.trigger_activate()
    assert node.should_be_active
    node.trigger_deactivate()
    node.trigger_cleanup()
    node._retry()
    assert node.state == 'unconfigured'
    assert node.set_parameters([Parameter('autostart', value=True)])[0].successful
    node._retry()
    assert node.state == 'active'
    node.called.clear()
    node._retry()
    assert node.called == []


def test_failing_step_is_logged_once_and_undone(node, capfd):
    node.fails['load'] = AvdetError('no such model')
    for _ in range(2):
        assert not node.try_start()
    assert (node.state, node.fault) == ('unconfigured', 'no such model')
    assert node.called == ['load', 'unload'] * 2
    assert capfd.readouterr().err.count('cannot configure: no such model') == 1
    node.fails = {'acquire': AvdetError('no device')}
    node.called.clear()
    assert not node.try_start()
    assert (node.state, node.fault) == ('inactive', 'no device')
    assert node.called == ['load', 'acquire', 'release']
    node.fails['acquire'] = AvdetError('no other device')
    assert not node.try_start()
    printed = capfd.readouterr().err
    assert 'cannot activate: no device' in printed
    assert 'cannot activate: no other device' in printed
    assert 'Traceback' not in printed
    node.fails = {}
    assert node.try_start()
    assert node.fault == ''


def test_exception_in_a_step_is_logged_and_other_steps_continue(node, capfd):
    node.fails = {'load': KeyError('bug'), 'unload': ValueError('another')}
    assert not node.try_start()
    assert node.fault == "cannot configure: KeyError: 'bug'"
    printed = capfd.readouterr().err
    assert 'cannot configure:\n' in printed
    assert "KeyError: 'bug'" in printed
    assert 'ValueError: another' in printed
    node.fails = {'release': ValueError('stuck')}
    assert node.try_start()
    node.trigger_deactivate()
    assert node.state == 'inactive'
    assert 'ValueError: stuck' in capfd.readouterr().err


def test_enable_service_switches_the_node_and_returns_the_fault(node):
    node._should_be_active = False
    node.fails = {'acquire': AvdetError('no device')}
    assert enable(node, True) == (False, 'no device')
    assert node.should_be_active
    assert enable(node, False) == (True, 'inactive')
    assert not node.should_be_active
    node.fails = {}
    assert enable(node, True) == (True, 'active')
    assert enable(node, True) == (True, 'active')
    assert enable(node, False) == (True, 'inactive')
    assert enable(node, False) == (True, 'inactive')
    node.trigger_shutdown()
    assert enable(node, True) == (False, 'cannot activate: the node is finalized')


def test_changed_fixed_parameters_are_loaded_with_the_next_activation(node):
    node.try_start()
    node.trigger_deactivate()
    node.called.clear()
    node.set_parameters([Parameter('start_score', value=0.5)])  # live
    node.trigger_activate()
    assert node.called == ['changed', 'acquire']
    node.trigger_deactivate()
    node.called.clear()
    node.set_parameters([Parameter('rig', value='/elsewhere.yaml')])
    node.trigger_activate()
    assert node.called == ['changed', 'unload', 'load', 'acquire']
    node.trigger_deactivate()
    node.called.clear()
    node.trigger_activate()
    assert node.called == ['acquire']
    node.fails['changed'] = AvdetError('not now')
    refused = node.set_parameters([Parameter('start_score', value=0.7)])[0]
    assert (refused.successful, refused.reason) == (False, 'not now')


def test_failures_and_bad_messages_are_reported_separately_and_logged(node, capfd):
    try:
        raise ValueError('broken')
    except ValueError as error:
        node.fail('drawing', error)
        node.fail('closing', error)
    node.refuse('stamp', 'no stamp')
    node.refuse('stamp', 'no stamp')
    report = Report()
    node.problems.add_to(report)
    assert report.faults == [
        (ERROR, 'drawing: ValueError: broken'),
        (ERROR, 'closing: ValueError: broken'),
        (WARN, 'no stamp'),
    ]
    printed = capfd.readouterr().err
    assert printed.count("raise ValueError('broken')") == 2
    assert printed.count('no stamp') == 1


def test_silence_is_explained_after_two_seconds_and_checked_earlier(node, monkeypatch):
    node.try_start()
    asked, ran, ended = [], [], [False]
    node.publisher_watch = SimpleNamespace(
        source_runs=lambda: ran.append(1),
        source_ended=lambda: ended[0],
        why_silent=lambda subscription, since_s: asked.append((subscription, since_s)) or 'why',
    )

    def silent(last_s=None, **options):
        report = Report()
        explained = node.explain_silence(report, 'sub', last_s, **options)
        return explained, report.level, report.message

    now_s = time.monotonic()
    monkeypatch.setattr(time, 'monotonic', lambda: now_s)
    node._active_since = now_s - 0.5
    assert silent() == (False, 0, '')
    assert (len(ran), asked) == (1, [])
    node._active_since = now_s - 1.5
    assert silent() == (False, 0, '')
    ((subscription, since_s),) = asked
    assert subscription == 'sub'
    assert since_s == pytest.approx(1.5)
    node._active_since = now_s - 3
    assert silent() == (True, ERROR, 'why')
    assert len(ran) == 1
    assert silent(now_s - 0.2) == (False, 0, '')  # the newest message counts
    assert silent(now_s - 60) == (True, ERROR, 'why')
    assert asked[-1][1] == pytest.approx(3)  # time before the activation does not count
    ended[0] = True
    assert silent() == (True, ERROR, 'why')
    assert silent(may_end=True) == (True, 0, 'the source has ended')
    ended[0] = False
    node.self_report.clock_still = True
    assert silent() == (True, 0, '')


def test_active_time_restarts_with_each_activation(node):
    node._active_since -= 100
    node.try_start()
    assert node.active_s < 20
    node._active_since -= 100
    assert 99 < node.active_s < 120


def test_numbers_are_published_only_for_subscribers(node):
    sent, listeners = [], [0]
    publisher = SimpleNamespace(publish=sent.append, get_subscription_count=lambda: listeners[0])
    node.publish_number(publisher, 3.5)
    listeners[0] = 1
    node.publish_number(publisher, 4.5)
    assert sent == [Float64(data=4.5)]


def test_qos_profiles_are_copied_and_overridable_only_where_declared(node):
    before = qos.RESULTS.depth
    plain = node.create_subscription(Float64, 'plain', print, qos.RESULTS)
    options = {'qos_overriding_options': qos.overridable()}
    changing = node.create_subscription(Float64, 'changing', print, qos.RESULTS, **options)
    assert not isinstance(plain, AdaptiveSubscription)
    assert isinstance(changing, AdaptiveSubscription)
    name = 'qos_overrides./avdet/{}.subscription.depth'
    assert node.has_parameter(name.format('changing'))
    assert not node.has_parameter(name.format('plain'))
    node.create_publisher(Float64, 'sent', qos.RESULTS, **options)
    assert node.has_parameter('qos_overrides./avdet/sent.publisher.depth')
    assert qos.RESULTS.depth == before
    adapted = []
    changing.adapt = lambda: adapted.append(1) or 'it is best effort now'
    node.adapt_subscriptions()
    assert node.problems.sentences == ['it is best effort now']
    assert node.destroy_subscription(changing)
    node.adapt_subscriptions()
    assert (adapted, node.destroy_subscription(plain)) == ([1], True)
