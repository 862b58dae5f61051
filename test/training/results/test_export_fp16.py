from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import contract_for
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.paths import share
from avdet_ros.rig import load_rig
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.networks.base import make_student
from avdet_ros.training.networks.calibrated import StudentDetector
from avdet_ros.training.recipes.parts import NetworkRecipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.results.export import check_export, export
from avdet_ros.training.results.export_fp16 import agreement, write_half


def sounds(count: int) -> list[np.ndarray]:
    """Return windows of validation drives."""
    windows = []
    for seed in range(100_000, 100_000 + count):
        scene: Scene = random_scene(seed, load_rig(), 3.0)
        windows.append(FrontEnd().compute(render_sound(scene, 1.0, 1.0)[:, :44100]))
    return windows


@pytest.mark.slow
def test_shipped_octagon_model_predicts_the_same_in_fp16(tmp_path):
    path, half = share('models/octagon.onnx'), tmp_path / 'half.onnx'
    write_half(path, half)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    same = agreement(path, half, sounds(8))
    assert same.boxes > 5
    assert same.share > 0.9
    model = onnx.load(half)
    assert {entry.key for entry in model.metadata_props} == {
        entry.key for entry in onnx.load(path).metadata_props
    }
    types = [tensor.data_type for tensor in model.graph.initializer]
    assert types.count(onnx.TensorProto.FLOAT16) > types.count(onnx.TensorProto.FLOAT)
    Detector(half, load_rig(), FrontEnd()).detect(sounds(1)[0])


@pytest.mark.parametrize(
    'model', [pytest.param('paper', marks=pytest.mark.slow), 'stereosoundnet']
)
def test_paper_students_are_exported_and_converted_to_fp16(model, tmp_path):
    size = (128, 256)
    torch.manual_seed(0)
    recipe = StudentRecipe(student=NetworkRecipe(model, 'tf_efficientdet_lite0'))
    student = make_student(recipe, load_rig(), picture_area(size, 1920, 650, False), size)
    with torch.no_grad():
        if model == 'paper':
            predict = student.student.detector.network.class_net.predict.conv_pw
            predict.weight *= 100
            predict.bias += 4
        else:
            student.student.decoder[-1].weight[0] *= 100
            student.student.decoder[-1].bias[0] += 3
    detector, path = StudentDetector(student).eval(), tmp_path / 'student.onnx'
    export(detector, contract_for(load_rig(), FrontEnd(), -0.5), path)
    rng = np.random.default_rng(0)
    windows = [
        FrontEnd().compute((0.1 * rng.normal(size=(8, 44100))).astype(np.float32))
        for _ in range(2)
    ]
    worst, decided = check_export(detector, path, windows)
    assert decided
    assert worst < 1e-4
    found = Detector(path, load_rig(), FrontEnd()).detect(windows[0])
    assert len(found)
    write_half(path, tmp_path / 'half.onnx')
    Detector(tmp_path / 'half.onnx', load_rig(), FrontEnd()).detect(windows[0])


def test_invalid_model_file_is_named_in_the_error(tmp_path):
    (tmp_path / 'no.onnx').write_bytes(b'no model')
    with pytest.raises(AvdetError, match=r'no\.onnx: expected a model'):
        write_half(tmp_path / 'no.onnx', tmp_path / 'half.onnx')
