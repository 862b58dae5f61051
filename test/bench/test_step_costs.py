from __future__ import annotations

from dataclasses import replace

from helpers.array_models import steered_response_model
from helpers.models import save_model, small_network
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
import pytest
from rich.console import Console

from avdet_ros import supervisor
from avdet_ros.audio.features import FrontEnd
from avdet_ros.bench import latency, step_costs
from avdet_ros.bench.latency_budget import WAY, WHOLE
from avdet_ros.detection.contract import contract_for, write_metadata
from avdet_ros.errors import AvdetError
from avdet_ros.tracking import TRACKERS

NODES = ('capture', 'detector', 'tracker', 'overlay')


@pytest.fixture(scope='module')
def model(tmp_path_factory, rig):
    box = numpy_helper.from_array(np.array([[0.4, 0.4, 0.5, 0.6]], np.float32), 'box')
    label = numpy_helper.from_array(np.zeros(1, np.int64), 'label')
    score = numpy_helper.from_array(np.array([0.9], np.float32), 'score')
    graph = helper.make_graph(
        [
            helper.make_node('Identity', ['box'], ['boxes']),
            helper.make_node('Identity', ['score'], ['scores']),
            helper.make_node('Identity', ['label'], ['labels']),
        ],
        'constant',
        [helper.make_tensor_value_info('spectrogram', TensorProto.FLOAT, (1, 32, 80, 173))],
        [
            helper.make_tensor_value_info('boxes', TensorProto.FLOAT, [1, 4]),
            helper.make_tensor_value_info('scores', TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info('labels', TensorProto.INT64, [1]),
        ],
        [box, label, score],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    write_metadata(built, contract_for(rig, FrontEnd(), -0.5))
    path = tmp_path_factory.mktemp('model') / 'constant.onnx'
    onnx.save(built, path)
    return path


def test_measure_counts_runs_and_orders_percentiles():
    calls = []
    cost = step_costs.measure('step', lambda: calls.append(1), runs=20, warm_up=3)
    assert len(calls) == 23
    assert 0 <= cost.p50 <= cost.p99
    assert cost.runs == 20
    assert cost.least_cpu >= 0


@pytest.mark.slow
def test_window_costs_list_every_step(model, rig):
    steps = [cost.step for cost in step_costs.window_costs(model, rig, runs=5, threads=1)]
    stream = [f'features, one window after the other at {hz} Hz' for hz in (10, 20)]
    trackers = [f'tracker {name}' for name in TRACKERS.names()]
    first = ['features', *stream, 'inference, CPUExecutionProvider', *trackers]
    assert steps[: len(first)] == first
    speed = step_costs.renderer_speed(rig, seconds=1.0)
    assert speed.factor > 0


def test_model_costs_list_matching_models_per_thread_count(model, rig, front_end, tmp_path):
    steered = save_model(steered_response_model(front_end), tmp_path / 'steered.onnx')
    other = save_model(small_network(rig, FrontEnd(n_mels=64)), tmp_path / 'other.onnx')
    costs = step_costs.model_costs([model, other, steered], rig, 5)
    assert [cost.step for cost in costs] == [
        'inference, constant.onnx, 1 thread',
        'inference, constant.onnx, 2 threads',
        'inference, steered.onnx, 1 thread',
        'inference, steered.onnx, 2 threads',
        'steering for another speed',
    ]
    assert all(0 < cost.least_cpu < 1000 for cost in costs)


def test_summary_counts_dropped_windows():
    stamps = np.delete(np.arange(100), [40, 41]) * 50_000_000 + 1_795_238_483_525_631_744
    loads = [latency.NodeLoad(node, 100.0, 5.0) for node in NODES]
    result = latency.summarise([10.0] * 97 + [50.0], stamps.tolist(), 20, 5.0, loads)
    assert (result.windows, result.dropped) == (98, 2)
    assert (result.p50, result.worst) == (10, 50)
    console = Console(width=120)
    with console.capture() as printed:
        console.print(latency.pipeline_table([result]))
        console.print(latency.load_table([result]))
    assert 'dropped' in printed.get()
    assert 'overlay' in printed.get()
    loads = [latency.NodeLoad('composed', 200.0, 30.0), latency.NodeLoad('overlay', 90.0, 2.0)]
    other = replace(result, nodes=loads, composed=True)
    with console.capture() as printed:
        console.print(latency.load_table([result, other]))
    for words in ('this, composed', '290, 32.0 %', '400, 20.0 %', '-'):
        assert words in printed.get()
    with pytest.raises(AvdetError, match='none came'):
        latency.summarise([], [], 20, 5.0, loads)


@pytest.fixture(scope='module')
def drive(tmp_path_factory, rig):
    path = tmp_path_factory.mktemp('sound') / 'drive.wav'
    latency.write_drive(path, rig, 300_000, 2.0)
    return path


@pytest.mark.slow
@pytest.mark.ros
@pytest.mark.parametrize('least', [2, pytest.param(30, marks=pytest.mark.timing)])
def test_real_nodes_deliver_windows(model, drive, least):
    result = latency.run_pipeline(model, 10, 4.0, drive)
    assert result.windows >= least
    assert [load.node for load in result.nodes] == list(NODES)
    assert all(load.megabytes > 10 for load in result.nodes)
    assert 0 < result.p50 <= result.p99 <= result.worst
    assert [row.step for row in result.steps] == [*(step for step, _, _ in WAY), WHOLE]
    # Windows end with the newest sound, so waiting for the last block takes little of the time.
    assert 0 <= result.steps[0].p50 < result.p50


@pytest.mark.slow
@pytest.mark.ros
def test_exiting_node_is_reported_by_name(model, drive, monkeypatch):
    import sys

    real = supervisor.command
    monkeypatch.setattr(
        supervisor,
        'command',
        lambda node, graph: (
            [sys.executable, '-c', 'print("no memory"); exit(3)']
            if node.name == 'tracker'
            else real(node, graph)
        ),
    )
    with pytest.raises(AvdetError, match='node tracker ended with status 3: no memory'):
        latency.run_pipeline(model, 10, 2.0, drive)
