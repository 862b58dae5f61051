from __future__ import annotations

import pytest
import yaml

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import brief_repr, did_you_mean, one_line
from avdet_ros.training.recipes.read import read_recipe


def laughs(levels: int = 12) -> str:
    """Return a small YAML file whose last list expands to 10 ** levels items."""
    lines = ['a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]']
    lines += [f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 10)}]' for n in range(1, levels)]
    return '\n'.join(lines)


def test_brief_repr_shortens_values_of_any_size():
    tree = yaml.safe_load(laughs())
    assert len(brief_repr(tree['a11'])) <= 60
    assert len(brief_repr('x' * 1_000_000, 20)) == 20
    assert brief_repr(10**5000) == 'a huge number'
    assert brief_repr('short') == "'short'"
    assert brief_repr(3) == '3'


@pytest.mark.parametrize(
    'line', ['model: *a11', 'fit: *a11', 'fit: {epochs: *a11}', '? 1\n: *a11', 'kind: *a11']
)
def test_recipe_that_expands_to_billions_raises_a_short_error(tmp_path, line):
    path = tmp_path / 'laughs.yaml'
    path.write_text(f'{laughs()}\n{line}\n')
    with pytest.raises(AvdetError) as caught:
        read_recipe(path)
    assert len(str(caught.value)) < 500


def test_one_line_joins_and_shortens_an_error():
    assert one_line(ValueError('first\n   second')) == 'first second'
    assert one_line(ValueError()) == 'ValueError'
    assert 200 < len(one_line(ValueError('word ' * 1000))) <= 240
    assert len(one_line(ValueError('x' * 1000))) <= 240


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        (
            (
                '[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/model.cc:256 '
                'onnxruntime::Model::Model(onnx::ModelProto&&, const PathString&, const Logger&) '
                'Unsupported model IR version: 99, max supported IR version: 13'
            ),
            'Unsupported model IR version: 99, max supported IR version: 13',
        ),
        (
            (
                '/src/onnxruntime/core/providers/cuda_call.cc:123 std::conditional_t<T, void, S> '
                'onnxruntime::CudaCall(ERRTYPE, const char*, int) [with ERRTYPE = cudaError; bool '
                'T = true] CUDA failure 100: no CUDA-capable device is detected (GPU=0)'
            ),
            'CUDA failure 100: no CUDA-capable device is detected (GPU=0)',
        ),
        ('/home/me/drive (2)/a.h:3 was not there', '/home/me/drive (2)/a.h:3 was not there'),
    ],
)
def test_one_line_keeps_the_reason_of_an_error(text, reason):
    assert one_line(RuntimeError(text)) == reason


def test_one_line_keeps_the_end_of_a_long_error():
    text = 'Opset 99 is new. ' + 'Words that help nobody. ' * 40 + 'Support ends with opset 26.'
    assert one_line(text).startswith('Opset 99 is new. ')
    assert one_line(text).endswith(' Support ends with opset 26.')


def test_did_you_mean_suggests_only_near_names():
    assert did_you_mean('trakcer', ['tracker', 'source']) == '; did you mean tracker?'
    assert did_you_mean('xyz', ['tracker', 'source']) == ''
    assert did_you_mean(['tracker'] * 10_000, ['tracker']) in ('', '; did you mean tracker?')
