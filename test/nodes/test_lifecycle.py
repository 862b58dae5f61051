"""Lifecycle of every node: activation, deactivation and reported failures."""

from __future__ import annotations

import signal
import subprocess

from lifecycle_msgs.srv import ChangeState, GetState
import pytest
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter, parameter_value_to_python
from std_srvs.srv import SetBool

from avdet_ros.graph import make_graph
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.nodes.overlay import OverlayNode
from avdet_ros.nodes.recorder import RecorderNode
from avdet_ros.nodes.tracker import TrackerNode
from avdet_ros.supervisor import command

pytestmark = pytest.mark.ros


@pytest.fixture
def call(watcher, wait):
    def call(kind, service, **fields):
        client = watcher.node.create_client(kind, service)
        assert client.wait_for_service(20)
        future = client.call_async(kind.Request(**fields))
        wait(future.done, service)
        return future.result()

    return call


@pytest.fixture
def parameters(model_path, tmp_path):
    return {
        CaptureNode: {'source': 'topic'},
        DetectorNode: {'model': str(model_path)},
        TrackerNode: {},
        OverlayNode: {},
        RecorderNode: {'path': str(tmp_path / 'bag')},
    }


NODES = [CaptureNode, DetectorNode, TrackerNode, OverlayNode, RecorderNode]


@pytest.mark.parametrize('node_class', NODES)
def test_node_can_be_disabled_enabled_and_reconfigured(start, call, parameters, node_class):
    node = start(node_class, **parameters[node_class])
    assert node.state == 'active'
    assert len(list(node.waitables)) <= 6  # each costs time whenever the node wakes up
    name = node.NAME
    for _ in range(2):
        off = call(SetBool, f'{name}/enable', data=False)
        assert off.success
        assert node.state == 'inactive'
        on = call(SetBool, f'{name}/enable', data=True)
        assert on.success, on.message
        assert node.state == 'active'
    for label in ('deactivate', 'cleanup', 'configure', 'activate', 'deactivate'):
        request = ChangeState.Request()
        request.transition.label = label
        answer = call(ChangeState, f'{name}/change_state', transition=request.transition)
        assert answer.success, label
    state = call(GetState, f'{name}/get_state').current_state
    assert state.label == 'inactive'


@pytest.mark.parametrize('node_class', NODES)
def test_destroyed_node_leaves_the_graph(watcher, wait, parameters, node_class):
    other = Context()
    rclpy.init(context=other)
    overrides = [Parameter(n, value=v) for n, v in parameters[node_class].items()]
    node = node_class(namespace='/avdet', parameter_overrides=overrides, context=other)

    def is_in_graph():
        return (node.NAME, '/avdet') in watcher.node.get_node_names_and_namespaces()

    wait(is_in_graph, f'{node.NAME} to appear')
    node.destroy_node()
    wait(lambda: not is_in_graph(), f'{node.NAME} to be gone')
    rclpy.try_shutdown(context=other)


def test_node_without_autostart_waits_and_warns(start, watcher):
    node = start(TrackerNode, autostart=False)
    watcher.wait_status('tracker', 'activate it or call /avdet/tracker/enable', level=1)
    assert node.state == 'unconfigured'


def test_finalized_node_reports_that_it_cannot_be_activated(start, call, watcher):
    node = start(TrackerNode)
    request = ChangeState.Request()
    request.transition.label = 'shutdown'
    assert call(ChangeState, 'tracker/change_state', transition=request.transition).success
    assert node.state == 'finalized'
    answer = call(SetBool, 'tracker/enable', data=True)
    assert (answer.success, answer.message) == (False, 'cannot activate: the node is finalized')
    watcher.wait_status('tracker', 'finalized: restart the process', level=1)


def test_inactive_upstream_node_is_reported(start, watcher):
    detector = start(DetectorNode, autostart=False)
    start(TrackerNode)
    words = '/avdet/detections: its publisher /avdet/detector is unconfigured, not active'
    watcher.wait_status('tracker', words, level=2)
    assert detector.state == 'unconfigured'


def test_invalid_start_value_is_reported_and_can_be_corrected_at_run_time(start, watcher, wait):
    node = start(TrackerNode, tracker='magic')
    watcher.wait_status('tracker', "expected one of ground, iou, motion, found 'magic'")
    wait(lambda: node.state == 'unconfigured', 'an attempt to end')
    assert node.set_parameters([Parameter('tracker', value='iou')])[0].successful
    wait(lambda: node.state == 'active', 'the tracker to come up')


def test_misspelt_parameter_is_reported(start, watcher):
    start(TrackerNode, start_scare=0.5)
    watcher.wait_status('tracker', 'did you mean start_score?')


def test_exception_in_a_transition_is_logged_and_reported(start, watcher, capfd):
    class Broken(TrackerNode):
        def acquire(self):
            raise ZeroDivisionError('a bug')

    start(Broken)
    watcher.wait_status('tracker', 'cannot activate: ZeroDivisionError: a bug', level=2)
    assert 'Traceback' in capfd.readouterr().err


def test_missing_rig_file_is_reported_by_overlay(start, watcher, tmp_path):
    start(TrackerNode)
    start(OverlayNode, rig=str(tmp_path / 'rig.yaml'))
    watcher.wait_status('overlay', 'cannot read the rig file', level=2)


def test_use_sim_time_without_a_clock_is_reported(start, watcher):
    start(TrackerNode, use_sim_time=True)
    watcher.wait_status('tracker', 'nothing publishes /clock', level=2)


def is_active_with(model):
    return lambda values: values.get('model') == str(model) and values['state'] == 'active'


def test_fixed_parameter_set_while_inactive_is_used_once_enabled_again(
    start, call, watcher, wait, model_path, tmp_path
):
    node = start(DetectorNode, model=str(model_path))
    second = tmp_path / 'second.onnx'
    refused = node.set_parameters([Parameter('model', value=str(second))])[0]
    assert 'cannot change while the node is active' in refused.reason
    assert call(SetBool, 'detector/enable', data=False).success
    assert node.set_parameters([Parameter('model', value=str(second))])[0].successful
    on = call(SetBool, 'detector/enable', data=True)
    assert not on.success
    assert str(second) in on.message
    wait(lambda: node.state == 'inactive', 'an attempt to end')
    second.write_bytes(model_path.read_bytes())
    assert call(SetBool, 'detector/enable', data=True).success
    watcher.wait_status('detector', values=is_active_with(second))


def test_external_activation_loads_the_changed_model(start, call, watcher, model_path, tmp_path):
    node = start(DetectorNode, model=str(model_path))
    second = tmp_path / 'second.onnx'
    second.write_bytes(model_path.read_bytes())
    for label in ('deactivate', 'activate'):
        request = ChangeState.Request()
        request.transition.label = label
        assert call(ChangeState, 'detector/change_state', transition=request.transition).success
        if label == 'deactivate':
            assert node.set_parameters([Parameter('model', value=str(second))])[0].successful
    watcher.wait_status('detector', values=is_active_with(second))


def test_unavailable_source_can_be_replaced_at_run_time(start, watcher, wait):
    node = start(CaptureNode, source='device', device='no such array')
    watcher.wait_status('capture', 'no such array', level=2)
    wait(lambda: node.state == 'inactive', 'an attempt to end')
    assert node.set_parameters([Parameter('source', value='topic')])[0].successful
    wait(lambda: node.state == 'active', 'the capture to come up')
    watcher.wait_status('capture', 'no publisher on /avdet/audio', level=2)


def test_unchanged_parameter_reloads_nothing(start, call, model_path):
    node = start(DetectorNode, model=str(model_path))
    assert call(SetBool, 'detector/enable', data=False).success
    loaded = node._detector
    assert node.set_parameters([Parameter('model', value=str(model_path))])[0].successful
    assert call(SetBool, 'detector/enable', data=True).success
    assert node._detector is loaded


def test_non_default_arguments_override_the_parameter_file(call, tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text(
        '/**/tracker:\n  ros__parameters:\n    autostart: false\n    tracker: iou\n'
        '    start_score: 0.4\n    use_sim_time: true\n'
    )
    graph = make_graph({'params_file': str(path), 'start_score': '0.6', 'autostart': 'true'})
    node = next(node for node in graph.nodes if node.name == 'tracker')
    names = ['autostart', 'tracker', 'start_score', 'use_sim_time', 'max_detections']
    with subprocess.Popen(command(node, graph)) as process:
        try:
            values = call(GetParameters, 'tracker/get_parameters', names=names).values
        finally:
            process.send_signal(signal.SIGINT)
    assert [values[0].bool_value, values[1].string_value] == [False, 'iou']
    assert [values[2].double_value, values[3].bool_value] == [0.6, True]
    assert values[4].integer_value == 300


def test_composed_nodes_have_own_parameters_and_a_signal_ends_all(call, tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('/**/tracker:\n  ros__parameters:\n    tracker: iou\n    start_score: 0.4\n')
    given = {'params_file': str(path), 'start_score': '0.6', 'min_score': '0.3', 'hop': '0.2'}
    graph = make_graph({**given, 'composed': 'true', 'source': 'topic', 'autostart': 'false'})
    expected = {
        'capture': {'source': 'topic', 'hop_s': 0.2, 'autostart': False},
        'detector': {'min_score': 0.3, 'autostart': False},
        'tracker': {'tracker': 'iou', 'start_score': 0.6, 'autostart': False},
    }
    process = subprocess.Popen(
        command(graph.processes[0], graph), stderr=subprocess.PIPE, text=True
    )
    try:
        for name, values in expected.items():
            names = [*values, 'use_sim_time']
            answer = call(GetParameters, f'{name}/get_parameters', names=names).values
            assert [parameter_value_to_python(value) for value in answer] == [
                *values.values(),
                False,
            ]
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert 'Traceback' not in printed
    assert 'unknown' not in printed
