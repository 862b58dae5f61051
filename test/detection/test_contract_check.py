"""Complete error messages about differences between a model and a vehicle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import contract_for
from avdet_ros.detection.contract_check import check
from avdet_ros.detection.output_check import check_ranges
from avdet_ros.detection.taught_ranges import values_of
from avdet_ros.errors import AvdetError


def test_error_of_a_single_difference_mentions_no_others(rig):
    contract = contract_for(rig, FrontEnd(), -0.5)
    with pytest.raises(AvdetError) as caught:
        check(contract, rig, FrontEnd(n_mels=64), 'm.onnx')
    begin = (
        'm.onnx does not fit: avdet.n_mels: expected 80 as the model was taught, found 64 on this '
        'vehicle. The model is of another version'
    )
    assert str(caught.value).startswith(begin)


def test_first_channel_with_another_name_is_reported(rig):
    contract = contract_for(rig, FrontEnd(), -0.5)
    names = list(contract.features)
    names[9:11] = ['a "b"', 'c']
    with pytest.raises(AvdetError) as caught:
        check(replace(contract, features=tuple(names)), rig, FrontEnd(), 'm.onnx')
    begin = (
        'm.onnx does not fit: avdet.features: expected channel 9 to be \'a "b"\' as the model was '
        f'taught, found {contract.features[9]!r} on this vehicle. The model is of another version'
    )
    assert str(caught.value).startswith(begin)


def test_ranges_that_do_not_rise_are_rejected():
    words = r'^m\.onnx: output range_m: expected rising distances, found another order$'
    with pytest.raises(AvdetError, match=words):
        check_ranges(Path('m.onnx'), np.array([[5.0, 4.0, 9.0]], np.float32), 1)
    check_ranges(Path('m.onnx'), np.array([[4.0, 4.0, 9.0]], np.float32), 1)


def test_array_without_live_microphones_has_zero_spacing(rig):
    values = values_of(replace(rig, alive=np.zeros(8, bool)))
    assert (values['spacing_m'], values['aperture_m'], values['live_microphones']) == (0, 0, 0)
