"""A model in 8 bits finds what it found in float32."""

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
from avdet_ros.training.results.export_int8 import inner_convolutions, write_int8


def test_only_convolutions_behind_another_are_inner():
    nodes = [
        helper.make_node('Conv', ['sound', 'w'], ['a'], 'first'),
        helper.make_node('Log', ['sound'], ['b']),
        helper.make_node('Conv', ['b', 'w'], ['c'], 'first too'),
        helper.make_node('Add', ['a', 'c'], ['d']),
        helper.make_node('Relu', ['d'], ['e']),
        helper.make_node('Conv', ['e', 'w'], ['f'], 'inner'),
    ]
    assert inner_convolutions(helper.make_graph(nodes, 'test', [], [])) == ['inner']


def test_a_model_for_any_array_is_refused(tmp_path):
    model = share('models/any_array.onnx')
    with pytest.raises(
        AvdetError, match=r'expected a model for one rig \(contract 1\), found .*2'
    ):
        write_int8(model, tmp_path / 'int8.onnx', [])


@pytest.mark.slow
def test_the_shipped_student_in_8_bits_predicts_about_the_same(tmp_path, capsys, monkeypatch):
    path, whole = share('models/student.onnx'), tmp_path / 'int8.onnx'
    monkeypatch.setattr(windows, 'SCENES_A_SHARD', 2)
    for name, seed in (('train', 30), ('val', 100_030)):
        with monkeypatch.context() as patch:  # the manifest alone: two drives are enough
            patch.setattr(windows, '_write_shards', lambda *_: iter(()))
            list(windows.make_windows(tmp_path / name, 6, (seed, seed + 2), 1))
        windows.write_shard(tmp_path / name, seed, True, load_rig())
    quantise(path, tmp_path / 'train', whole, tmp_path / 'val', None, 6)
    told = capsys.readouterr().out
    assert 'int8.onnx: mAP' in told
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
