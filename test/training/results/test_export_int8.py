"""A model in 8 bits detects nearly the same as in float32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.cli.train_quantise import quantise
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.paths import share
from avdet_ros.rig import load_rig
from avdet_ros.simulation import windows
from avdet_ros.training.results.export_int8 import inner_convolutions


def test_only_convolutions_after_another_are_inner():
    nodes = [
        helper.make_node('Conv', ['sound', 'w'], ['a'], 'first'),
        helper.make_node('Log', ['sound'], ['b']),
        helper.make_node('Conv', ['b', 'w'], ['c'], 'first too'),
        helper.make_node('Add', ['a', 'c'], ['d']),
        helper.make_node('Relu', ['d'], ['e']),
        helper.make_node('Conv', ['e', 'w'], ['f'], 'inner'),
    ]
    graph = helper.make_graph(nodes, 'test', [], [])
    assert inner_convolutions(graph) == ['inner']
    assert inner_convolutions(graph, with_last=False) == []
    graph.node.extend(
        [
            helper.make_node('Relu', ['f'], ['g']),
            helper.make_node('Conv', ['g', 'w'], ['h'], 'last'),
            helper.make_node('Sigmoid', ['h'], ['i']),
        ]
    )
    assert inner_convolutions(graph) == ['inner', 'last']
    assert inner_convolutions(graph, with_last=False) == ['inner']


def test_array_model_rejects_windows_of_a_single_rig(tmp_path):
    np.savez(tmp_path / 'windows_0000000.npz', features=np.zeros((1, 32, 80, 44), np.float16))
    model = share('models/student.onnx')
    with pytest.raises(AvdetError, match=r'expected windows of drawn arrays .*found none of rig_'):
        quantise(model, tmp_path, tmp_path / 'int8.onnx')
    with pytest.raises(AvdetError, match='expected windows of drawn arrays, found none'):
        quantise(model, tmp_path / 'nowhere', tmp_path / 'int8.onnx')


@pytest.mark.slow
def test_shipped_octagon_model_predicts_nearly_the_same_in_int8(tmp_path, capsys, monkeypatch):
    path, whole = share('models/octagon.onnx'), tmp_path / 'int8.onnx'
    monkeypatch.setattr(windows, 'SCENES_A_SHARD', 2)
    for name, seed in (('train', 30), ('val', 100_030)):
        with monkeypatch.context() as patch:  # writes only the manifest; two drives are enough
            patch.setattr(windows, '_write_shards', lambda *_: iter(()))
            list(windows.make_windows(tmp_path / name, 6, (seed, seed + 2), 1))
        windows.write_shard(tmp_path / name, seed, True, load_rig())
    quantise(path, tmp_path / 'train', whole, tmp_path / 'val', None, 6)
    output = capsys.readouterr().out
    assert 'int8.onnx: mAP' in output
    assert whole.stat().st_size < 0.45 * path.stat().st_size
    with np.load(next((tmp_path / 'val').glob('*.npz'))) as shard:
        window = np.repeat(shard['features'][0].astype(np.float32), 4, axis=-1)[..., :173]
    scores = [
        Detector(file, load_rig(), FrontEnd(), ['cpu'], 1).detect(window).scores
        for file in (path, whole)
    ]
    assert abs(scores[0].max() - scores[1].max()) < 0.15
    props = [{p.key: p.value for p in onnx.load(file).metadata_props} for file in (path, whole)]
    assert props[0] == props[1]
