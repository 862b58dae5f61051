from __future__ import annotations

from dataclasses import replace
import json
import os
from pathlib import Path

from helpers.models import set_metadata
import numpy as np
from onnx import TensorProto, helper
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection import model_file
from avdet_ros.detection.contract import (
    ModelContract,
    contract_for,
    metadata,
    microphones_in_array,
    write_metadata,
)
from avdet_ros.detection.contract_check import check, differences
from avdet_ros.detection.model_file import read_model
from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path, parse_rig

SMALL = ModelContract(8000, 1, 16, 1, 1, ('a',), 16, 16, 0, np.zeros((8, 3)))


def test_contract_round_trips_through_a_model_file(make_model, save, rig, front_end):
    path = save(make_model())
    content, contract = read_model(path)
    assert content == path.read_bytes()
    written = contract_for(rig, front_end, -0.5, recipe='tiny', metrics={'map': 0.5})
    np.testing.assert_allclose(contract.microphones_m, written.microphones_m, atol=1e-6)
    assert metadata(contract) == metadata(written)
    assert contract.input_shape == (32, 80, 173)
    check(contract, rig, front_end)


def test_write_metadata_replaces_earlier_values(make_model):
    model = make_model()
    model.metadata_props.add(key='other', value='kept')
    write_metadata(model, SMALL)
    assert len(model.metadata_props) == 1 + len(metadata(SMALL))
    values = {entry.key: entry.value for entry in model.metadata_props}
    assert values['other'] == 'kept'
    assert values['avdet.sample_rate'] == '8000'


def test_microphones_in_array_undoes_yaw_and_position(rig):
    import yaml

    tree = yaml.safe_load(default_rig_path().read_text())
    tree['array'] |= {'yaw_deg': 33.0, 'position_m': [1.0, -2.0, 1.5]}
    moved = parse_rig(tree)
    assert not np.allclose(moved.microphones_m, rig.microphones_m, atol=0.1)
    np.testing.assert_allclose(microphones_in_array(moved), microphones_in_array(rig), atol=1e-12)


@pytest.mark.parametrize('cut', [10, 1000, -40])
def test_truncated_model_file_is_rejected(make_model, tmp_path, cut):
    path = tmp_path / 'cut.onnx'
    path.write_bytes(make_model().SerializeToString()[:cut])
    with pytest.raises(AvdetError, match=r'cut\.onnx'):
        read_model(path)


@pytest.mark.parametrize('content', [b'', b'hello, I am a picture', bytes(1000), os.urandom(4096)])
def test_file_that_is_not_a_model_is_rejected(tmp_path, content):
    path = tmp_path / 'bad.onnx'
    path.write_bytes(content)
    with pytest.raises(AvdetError, match=r'bad\.onnx: expected an ONNX model'):
        read_model(path)


def test_missing_files_directories_and_pipes_are_rejected(tmp_path):
    with pytest.raises(AvdetError, match=r'none\.onnx: No such file'):
        read_model(tmp_path / 'none.onnx')
    with pytest.raises(AvdetError, match='not a file'):
        read_model(tmp_path)
    os.mkfifo(tmp_path / 'pipe.onnx')
    with pytest.raises(AvdetError, match='not a file'):
        read_model(tmp_path / 'pipe.onnx')


def test_oversized_model_is_not_read(make_model, save, monkeypatch):
    path = save(make_model())
    monkeypatch.setattr(model_file, 'LARGEST_MODEL_BYTES', 100)
    with pytest.raises(AvdetError, match='at most 0 MiB'):
        read_model(path)


def external(name='elsewhere'):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value='../../etc/passwd')
    return tensor


def in_initializer(model):
    model.graph.initializer.append(external())


def in_attribute(model):
    model.graph.node.append(helper.make_node('Constant', [], ['c'], value=external()))


def in_subgraph(model):
    inner = helper.make_graph(
        [helper.make_node('Identity', ['elsewhere'], ['d'])], 'inner', [], []
    )
    inner.initializer.append(external())
    branch = helper.make_node('If', ['flag'], ['e'], then_branch=inner, else_branch=inner)
    middle = helper.make_graph([branch], 'middle', [], [])
    model.graph.node.append(
        helper.make_node('If', ['flag'], ['f'], then_branch=middle, else_branch=middle)
    )


def in_function(model):
    constant = helper.make_node('Constant', [], ['c'], value=external())
    model.functions.append(
        helper.make_function('own', 'F', [], ['c'], [constant], [helper.make_opsetid('', 17)])
    )


def in_sparse_tensor(model):
    sparse = helper.make_sparse_tensor(
        external('elsewhere'), helper.make_tensor('i', TensorProto.INT64, [4], [0, 1, 2, 3]), [9]
    )
    model.graph.sparse_initializer.append(sparse)


@pytest.mark.parametrize(
    'place', [in_initializer, in_attribute, in_subgraph, in_function, in_sparse_tensor]
)
def test_external_weights_are_rejected(make_model, save, place):
    model = make_model()
    place(model)
    with pytest.raises(AvdetError, match="the tensor 'elsewhere' in another file"):
        read_model(save(model))


def test_ep_context_node_is_rejected(make_model, save):
    model = make_model()
    model.graph.node.append(
        helper.make_node('EPContext', [], ['x'], domain='com.microsoft', ep_cache_context='/etc/x')
    )
    with pytest.raises(AvdetError, match='EPContext'):
        read_model(save(model))


@pytest.mark.parametrize('key', sorted(metadata(SMALL)))
def test_every_metadata_key_is_required(make_model, save, key):
    with pytest.raises(AvdetError, match=rf'{key}: expected a value, found none'):
        read_model(save(set_metadata(make_model(), key, None)))


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('avdet.contract_version', '3'),
        ('avdet.sample_rate', 'nan'),
        ('avdet.sample_rate', '44100.5'),
        ('avdet.n_mels', '-80'),
        ('avdet.window_s', 'inf'),
        ('avdet.hop_length', '1e99'),
        ('avdet.features', '["a", 3]'),
        ('avdet.features', '{"a": 3}'),
        ('avdet.features', '['),
        ('avdet.features', '[' * 100000),
        ('avdet.classes', '["vehicle", "tram"]'),
        ('avdet.classes', '[]'),
        ('avdet.microphones', '[[0, 0, 0]]'),
        ('avdet.microphones', '[[0, 0], [1]]'),
        ('avdet.microphones', json.dumps([[float('nan')] * 3] * 8)),
        ('avdet.metrics', '[]'),
        ('avdet.recipe', 'x' * (1 << 21)),
    ],
)
def test_errors_of_bad_values_name_the_key(make_model, save, key, value):
    with pytest.raises(AvdetError, match=rf'{key}: expected .*, found .') as caught:
        read_model(save(set_metadata(make_model(), key, value)))
    assert len(str(caught.value)) < 500


def test_duplicate_key_is_rejected(make_model, save):
    model = make_model()
    model.metadata_props.add(key='avdet.n_mels', value='64')
    with pytest.raises(AvdetError, match=r'avdet\.n_mels: expected once, found twice'):
        read_model(save(model))


def test_graph_must_match_the_metadata(make_model, save):
    with pytest.raises(AvdetError, match=r'input spectrogram: expected float \[1, 32, 64, 173\]'):
        read_model(save(set_metadata(make_model(), 'avdet.n_mels', '64')))
    model = make_model()
    model.graph.output[1].name = 'confidence'
    with pytest.raises(AvdetError, match='outputs: expected boxes, scores, labels'):
        read_model(save(model))
    model = make_model()
    model.graph.output[2].type.tensor_type.elem_type = TensorProto.INT32
    with pytest.raises(AvdetError, match=r'output labels: expected int64 \[N\], found int32'):
        read_model(save(model))
    model = make_model(boxes=np.zeros((2, 5)))
    with pytest.raises(AvdetError, match=r'output boxes: expected float \[N, 4\]'):
        read_model(save(model))


@pytest.mark.parametrize(
    ('front_end', 'key', 'expected', 'found'),
    [
        (FrontEnd(n_mels=64), 'avdet.n_mels', '80', '64'),
        (FrontEnd(sample_rate_hz=48000), 'avdet.sample_rate', '44100', '48000'),
        (FrontEnd(window_s=0.5), 'avdet.window_s', '1', '0.5'),
        (FrontEnd(n_fft=2048), 'avdet.n_fft', '1024', '2048'),
        (FrontEnd(hop_length=512), 'avdet.hop_length', '256', '512'),
    ],
)
def test_other_front_end_is_rejected(rig, front_end, key, expected, found):
    contract = contract_for(rig, FrontEnd(), -0.5)
    sentence = rf'm\.onnx .*{key}: expected {expected} as the model was taught, found {found} on'
    with pytest.raises(AvdetError, match=sentence):
        check(contract, rig, front_end, where='m.onnx')


def test_error_names_the_next_step(rig, front_end):
    """Each kind of difference has its own advice, and the files it names exist."""
    contract = contract_for(rig, front_end, -0.5)
    for other, other_front_end, way, remark in (
        (replace(rig, array_yaw_deg=90.0), front_end, 'student.onnx', 'three hours'),
        (rig, FrontEnd(sample_rate_hz=48000), 'sample_rate_hz: 44100', 'avdet devices'),
        (rig, FrontEnd(n_mels=64), 'another version of this package', 'simulated_labels.yaml'),
    ):
        with pytest.raises(AvdetError, match=way) as caught:
            check(contract, other, other_front_end)
        assert remark in str(caught.value)
        for word in str(caught.value).replace('model:=', '').split():
            if word.endswith(('student.onnx', 'simulated_labels.yaml')):
                assert Path(word).is_file()


def test_other_features_and_image_sizes_are_rejected(rig, front_end):
    contract = contract_for(rig, front_end, -0.5)
    fewer = replace(contract, features=contract.features[:8])
    with pytest.raises(AvdetError, match=r'avdet\.features: expected 8 channels .*, found 32'):
        check(fewer, rig, front_end)
    swapped = replace(contract, features=contract.features[::-1])
    with pytest.raises(AvdetError, match=r"channel 0 to be 'coher.* found 'log_mel_0'"):
        check(swapped, rig, front_end)
    small = replace(contract, image_width_px=768, image_height_px=328)
    with pytest.raises(AvdetError, match=r'image_width: .*; avdet\.image_height differ too'):
        check(small, rig, front_end)


@pytest.mark.parametrize(
    ('moved_mm', 'fits'), [(0, True), (4.9, True), (5.1, False), (350, False)]
)
def test_microphones_may_differ_by_up_to_5_mm(rig, front_end, moved_mm, fits):
    contract = contract_for(rig, front_end, -0.5)
    microphones_m = contract.microphones_m.copy()
    microphones_m[3] += [0, moved_mm / 1e3, 0]
    found = differences(replace(contract, microphones_m=microphones_m), rig, front_end)
    assert (not found) == fits
    if not fits:
        assert found[0].key == 'avdet.microphones'
        assert 'microphone 3 (rear_left)' in found[0].expected
        assert f'{moved_mm:.0f} mm away' in found[0].found
        assert 'rear_left at (-0.177, 0.177, 0.000) m' in found[0].found  # the position in the rig
