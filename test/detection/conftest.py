"""Fixtures that make tiny but real ONNX models."""

from __future__ import annotations

from pathlib import Path

from helpers.array_models import scattered_rig, tiny_array_model, wave_from
from helpers.models import fixed_boxes_model, save_model
import onnx
import pytest

from avdet_ros.audio.features import FrontEnd


@pytest.fixture
def scattered():
    return scattered_rig


@pytest.fixture
def plane_wave():
    return wave_from


@pytest.fixture
def make_model(rig, front_end):
    return lambda **options: fixed_boxes_model(rig, front_end, **options)


@pytest.fixture
def make_array_model(front_end):
    usual = front_end

    def make(front_end: FrontEnd = usual, **options) -> onnx.ModelProto:
        return tiny_array_model(front_end, **options)

    return make


@pytest.fixture
def save(tmp_path):
    def save(model: onnx.ModelProto, name: str = 'tiny.onnx') -> Path:
        return save_model(model, tmp_path / name)

    return save
