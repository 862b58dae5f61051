"""The front end that a model requires."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract_check import differences
from avdet_ros.detection.model_file import front_end_for, read_model
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError


@pytest.mark.parametrize('pairs', [12, 28])
def test_model_runs_on_the_front_end_it_requires(rig, save, make_array_model, pairs):
    path = save(make_array_model(scores=[0.5], front_end=FrontEnd(pair_count=pairs)))
    rig = replace(rig, gain_db=np.arange(8.0))
    front_end = front_end_for(rig, path)
    assert front_end == FrontEnd.of(rig, pairs)
    detector = Detector(path, rig, providers=['cpu'], threads=1)
    assert detector.front_end == front_end
    sound = np.random.default_rng(0).normal(0, 0.01, (8, front_end.samples)).astype(np.float32)
    assert len(detector.detect(front_end.compute(sound))) == 1
    assert front_end_for(rig, path, path) == front_end
    if pairs == 28:
        with pytest.raises(AvdetError, match=r'avdet\.features: expected 64 channels'):
            Detector(path, rig, FrontEnd.of(rig), ['cpu'], threads=1)


def test_features_of_all_pairs_fit_a_model_of_twelve_pairs(rig, save, make_array_model):
    twelve = save(make_array_model(scores=[0.0]), 'twelve.onnx')
    every = save(make_array_model(scores=[0.0], front_end=FrontEnd(pair_count=28)), 'every.onnx')
    wide, narrow = front_end_for(rig, twelve, every), FrontEnd.of(rig)
    assert wide.pair_count == 28
    given_more = Detector(twelve, rig, wide, ['cpu'], threads=1)
    usual = Detector(twelve, rig, narrow, ['cpu'], threads=1)
    sound = np.random.default_rng(1).normal(0, 0.01, (8, narrow.samples)).astype(np.float32)
    # Its score is the largest steered response.
    score = given_more.detect(wide.compute(sound)).scores
    assert score == pytest.approx(usual.detect(narrow.compute(sound)).scores, abs=1e-5)
    assert score[0] > 0
    for channels in (31, 33, 63):
        wrong = np.zeros((channels, narrow.n_mels, narrow.frames), np.float32)
        with pytest.raises(AvdetError, match='expected shape'):
            usual.detect(wrong)


def test_unknown_feature_names_are_reported_as_a_difference(rig, save, make_array_model):
    _, contract = read_model(save(make_array_model()))
    contract = replace(contract, features=('loudness',))
    front_end = FrontEnd.of(rig, contract.pair_count)
    assert front_end == FrontEnd.of(rig)
    assert [found.key for found in differences(contract, rig, front_end)] == ['avdet.features']
