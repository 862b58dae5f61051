"""Each key of a model file at its bounds, and graphs with open shapes."""

from __future__ import annotations

import json

import numpy as np
import onnx
from onnx import TensorProto
import pytest

from avdet_ros.detection.contract_check import differences
from avdet_ros.detection.model_file import _parse_metadata, read_model
from avdet_ros.detection.mounting import _turn_deg
from avdet_ros.errors import AvdetError


def with_keys(model, **values):
    for entry in model.metadata_props:
        name = entry.key.removeprefix('avdet.')
        if name in values:
            entry.value = values[name]
    return model


@pytest.mark.parametrize(
    ('key', 'within', 'beyond', 'expected'),
    [
        ('sample_rate', ('8000', '192000'), ('7999', '192001'), 'a number from 8000 to 192000'),
        ('window_s', ('0.01', '60'), ('0.009', '60.5'), 'a number from 0.01 to 60'),
        ('n_fft', ('16', '65536'), ('15', '65537'), 'a number from 16 to 65536'),
        ('hop_length', ('1', '65536'), ('0', '65537'), 'a number from 1 to 65536'),
        ('n_mels', ('1', '1024'), ('0', '1025'), 'a number from 1 to 1024'),
        ('label_offset_s', ('-60', '60'), ('-60.5', '60.5'), 'a number from -60 to 60'),
        ('image_width', ('16', '16384'), ('15', '16385'), 'a number from 16 to 16384'),
        ('image_height', ('16', '16384'), ('15', '16385'), 'a number from 16 to 16384'),
    ],
)
def test_numbers_are_accepted_up_to_their_bounds(make_model, key, within, beyond, expected):
    for value in within:
        assert _parse_metadata(with_keys(make_model(), **{key: value}), 'm.onnx') is not None
    for value in beyond:
        with pytest.raises(AvdetError) as error:
            _parse_metadata(with_keys(make_model(), **{key: value}), 'm.onnx')
        assert str(error.value).startswith(f'm.onnx: avdet.{key}: expected {expected}, found')


def test_whole_number_keys_reject_fractions(make_model):
    with pytest.raises(AvdetError, match=r'n_fft: expected a whole number from 16 to 65536, fou'):
        _parse_metadata(with_keys(make_model(), n_fft='1024.5'), 'm.onnx')
    contract = _parse_metadata(with_keys(make_model(), n_fft='512.0'), 'm.onnx')
    assert (contract.n_fft, type(contract.n_fft)) == (512, int)


@pytest.mark.parametrize(
    ('key', 'value', 'expected'),
    [
        ('features', json.dumps([]), 'a JSON list of 1 to 1024 names'),
        ('features', json.dumps(['a'] * 1025), 'a JSON list of 1 to 1024 names'),
        ('features', json.dumps(['a' * 201]), 'a JSON list of 1 to 1024 names'),
        ('features', json.dumps(['a', '']), 'a JSON list of 1 to 1024 names'),
        ('classes', json.dumps(['a', 'b']), 'a JSON list of one name'),
        ('metrics', '3', 'a JSON object'),
        ('metrics', '{', 'a JSON object'),
        ('microphones', '[', 'a JSON list of 8 points of 3 numbers in metres'),
        ('focal_px', '{', 'a JSON list of 2 numbers'),
        ('microphones', '[]', 'a JSON list of 8 points of 3 numbers in metres'),
        ('microphones', json.dumps([[0, 0, 1e3]] * 8), 'a JSON list of 8 points of 3 numbers'),
        ('focal_px', '[1]', 'a JSON list of 2 numbers'),
        ('focal_px', '[1, -1]', 'positive numbers'),
        ('camera_rotation', '[[1, 2], [3, 4]]', 'a JSON list of 3 x 3 numbers'),
        ('camera_rotation', '[[1, 0, 0], [0, 1, 0], [0, 0, 1.001]]', 'a rotation'),
        ('array_yaw_deg', '[1]', 'a number'),
        ('camera_position_m', '[1, 2, 1e5]', 'a JSON list of 3 numbers'),
        ('array_position_m', '["a", "b", "c"]', 'a JSON list of 3 numbers'),
        ('recipe', 'x' * ((1 << 20) + 1), 'at most 1048576 characters'),
    ],
)
def test_errors_state_the_expected_value(make_model, key, value, expected):
    with pytest.raises(AvdetError) as error:
        _parse_metadata(with_keys(make_model(), **{key: value}), 'm.onnx')
    assert str(error.value).startswith(f'm.onnx: avdet.{key}: expected {expected}')


def test_lists_and_names_are_accepted_up_to_their_bounds(make_model):
    contract = _parse_metadata(
        with_keys(
            make_model(),
            features=json.dumps(['a' * 200] * 1024),
            microphones=json.dumps([[0, 0, 999.0]] * 8),
            camera_rotation='[[1, 0, 0], [0, 1, 0], [0, 0, 1.0004]]',
            recipe='x' * (1 << 20),
            camera_position_m='[1, 2, 99999]',
        ),
        'm.onnx',
    )
    assert len(contract.features) == 1024
    assert contract.microphones_m[7, 2] == 999


@pytest.mark.parametrize(
    ('key', 'value', 'expected'),
    [
        ('azimuths_deg', '[720]', 'a JSON list of 1 to 1024 numbers'),
        ('azimuths_deg', '[]', 'a JSON list of 1 to 1024 numbers'),
        ('azimuths_deg', json.dumps([1] * 1025), 'a JSON list of 1 to 1024 numbers'),
        ('aperture_m', '[1, 1000]', 'a JSON list of 2 numbers'),
        ('aperture_m', '[1, 0.5]', 'two rising numbers'),
        ('spacing_m', '[-0.1, 0.5]', 'two rising numbers'),
        ('features', json.dumps(['a'] * 33), '8 levels and 24 or 56 coherences, found 33 names'),
    ],
)
def test_errors_of_array_models_state_the_expected_value(make_array_model, key, value, expected):
    with pytest.raises(AvdetError) as error:
        _parse_metadata(with_keys(make_array_model(), **{key: value}), 'm.onnx')
    assert str(error.value).startswith(f'm.onnx: avdet.{key}: expected {expected}')


def test_array_model_ranges_and_azimuths_are_accepted_up_to_their_bounds(make_array_model):
    model = with_keys(
        make_array_model(), aperture_m='[0, 999]', spacing_m='[0.3, 0.3]', azimuths_deg='[719.9]'
    )
    contract = _parse_metadata(model, 'm.onnx')
    assert (contract.ranges.aperture_m, contract.ranges.spacing_m) == ((0, 999), (0.3, 0.3))
    assert contract.azimuths_deg.tolist() == [719.9]
    many = with_keys(make_array_model(), azimuths_deg=json.dumps([1] * 1024))
    assert len(_parse_metadata(many, 'm.onnx').azimuths_deg) == 1024


def test_unreadable_model_file_is_named_in_the_error(tmp_path):
    with pytest.raises(AvdetError, match=r'^cannot read the model file /.*/no\.onnx: '):
        read_model(tmp_path / 'no.onnx')
    with pytest.raises(AvdetError, match=': expected a model file, found something that is no'):
        read_model(tmp_path)


def test_outputs_may_have_open_shapes_but_inputs_may_not(make_model, save):
    model = make_model()
    model.graph.output[0].type.tensor_type.ClearField('shape')
    assert read_model(save(model))[1].contract_version == 1
    model = make_model()
    model.graph.input[0].type.tensor_type.ClearField('shape')
    with pytest.raises(AvdetError, match=r'input spectrogram: expected float \[1, 32, 80, 173\]'):
        read_model(save(model))


def test_open_dimensions_fit_and_fixed_ones_must_match(make_model, save):
    model = make_model()
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_param = 'batch'
    read_model(save(model))
    dims[2].dim_value = 79
    with pytest.raises(AvdetError, match=r'found float \[N, 32, 79, 173\]'):
        read_model(save(model))
    model = make_model()
    model.graph.output[0].type.tensor_type.shape.dim.add(dim_value=1)
    with pytest.raises(AvdetError, match=r'output boxes: expected float \[N, 4\], found float \['):
        read_model(save(model))


def test_external_tensor_is_rejected_by_either_of_its_marks(make_model, save):
    for sign in ('location', 'data'):
        model = make_model()
        tensor = TensorProto(name='w' * 100, data_type=TensorProto.FLOAT, dims=[4])
        if sign == 'location':
            tensor.data_location = TensorProto.EXTERNAL
        else:
            tensor.external_data.add(key='location', value='/etc/passwd')
        model.graph.initializer.append(tensor)
        with pytest.raises(
            AvdetError, match=r"holds all its weights, found the tensor 'w{80}' in"
        ):
            read_model(save(model))


def test_errors_list_names_and_types_of_the_outputs(make_model, save):
    model = make_model()
    del model.graph.output[:]
    with pytest.raises(AvdetError, match='outputs: expected boxes, scores, labels, found none'):
        read_model(save(model))
    model = make_model()
    twice = onnx.ValueInfoProto()
    twice.CopyFrom(model.graph.output[1])
    model.graph.output.append(twice)
    with pytest.raises(AvdetError, match='outputs: expected boxes, scores, labels, found boxes'):
        read_model(save(model))
    model = make_model()
    model.graph.output[1].type.tensor_type.elem_type = 99
    with pytest.raises(AvdetError, match=r'output scores: expected float \[N\], found type 99'):
        read_model(save(model))


def test_constant_listed_as_an_input_is_not_an_input(make_model, save, rig, front_end):
    model = make_model()
    tensor = model.graph.initializer[0]
    model.graph.input.append(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
    )
    _, contract = read_model(save(model))
    assert differences(contract, rig, front_end) == []


def test_angle_between_rotations_tolerates_rounding():
    whole = np.eye(3) * (1 + 1e-12)
    assert _turn_deg(whole, whole) == 0
    half = np.diag([1.0, -1.0, -1.0]) * (1 + 1e-12)
    assert _turn_deg(half, np.eye(3)) == 180
