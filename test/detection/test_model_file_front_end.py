"""The front end that a model asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract_check import differences
from avdet_ros.detection.model_file import front_end_for, front_end_of, read_model
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError


@pytest.mark.parametrize('pairs', [12, 28])
def test_a_model_runs_on_the_front_end_that_it_asks_for(rig, save, make_array_model, pairs):
    path = save(make_array_model(scores=[0.5], front_end=FrontEnd(pair_count=pairs)))
    rig = replace(rig, gain_db=np.arange(8.0))
    front_end = front_end_for(path, rig)
    assert front_end == FrontEnd.of(rig, pairs)
    detector = Detector(path, rig, front_end, ['cpu'], threads=1)
    sound = np.random.default_rng(0).normal(0, 0.01, (8, front_end.samples)).astype(np.float32)
    assert len(detector.detect(front_end.compute(sound))) == 1
    other = FrontEnd.of(rig, 40 - pairs)
    with pytest.raises(AvdetError, match=r'avdet\.features: expected '):
        Detector(path, rig, other, ['cpu'], threads=1)


def test_names_of_no_front_end_are_told_by_the_comparison(rig, save, make_array_model):
    _, contract = read_model(save(make_array_model()))
    contract = replace(contract, features=('loudness',))
    front_end = front_end_of(contract, rig)
    assert front_end == FrontEnd.of(rig)
    assert [found.key for found in differences(contract, rig, front_end)] == ['avdet.features']
