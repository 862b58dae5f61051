"""A small real model for the commands that run the nodes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig


@pytest.fixture(scope='session')
def model_path(tmp_path_factory) -> Path:
    place = Path(__file__).parents[1] / 'nodes' / 'small_model.py'
    spec = importlib.util.spec_from_file_location('small_model', place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path_factory.mktemp('model') / 'small.onnx'
    path.write_bytes(module.small_network(load_rig(), FrontEnd()).SerializeToString())
    return path
