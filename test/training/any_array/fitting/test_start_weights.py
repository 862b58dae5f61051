"""Start weights read from a run or a model file; other files are rejected."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import contract_for_any_array
from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.detection.taught_ranges import TaughtRanges
from avdet_ros.errors import AvdetError
from avdet_ros.training.any_array.bearing_first import BearingFirst, BearingShape
from avdet_ros.training.any_array.detector import BearingDetector
from avdet_ros.training.any_array.export import check_export, export_any_array
from avdet_ros.training.any_array.fitting.start_weights import (
    check_same_shape,
    joined_ranges,
    read_start_weights,
)

RANGES = TaughtRanges((0.2, 1.0), (0.05, 0.5), (0.4, 2.5), (10.0, 56.0), (6.0, 8.0))
SHAPE = BearingShape(width=12, deep=32, steps=2)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(3)
    network = BearingFirst(SHAPE)
    # Statistics as of a trained network: they are part of its weights.
    with torch.no_grad():
        for name, value in network.named_buffers():
            if 'running_' in name:
                value.uniform_(0.5, 2.0)
    return network.eval()


def saved_run(folder, network):
    folder.mkdir()
    torch.save(
        {'shape': asdict(network.shape), 'network': network.state_dict()}, folder / 'best.pt'
    )
    return folder


def same_weights(network, other) -> bool:
    ours, theirs = network.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(value, theirs[name]) for name, value in ours.items()
    )


def test_start_weights_of_a_run_are_from_its_best_epoch(tmp_path, network):
    folder = saved_run(tmp_path / 'run', network)
    for path in (folder, folder / 'best.pt'):
        start = read_start_weights(path)
        assert start.shape == SHAPE
        assert same_weights(start.network(), network)


def test_own_columns_start_as_copies_of_the_shared_ones(tmp_path, network):
    start = read_start_weights(saved_run(tmp_path / 'run', network))
    changed = start.with_own_columns()
    assert changed.shape == replace(SHAPE, own_columns=True)
    maps = torch.randn(2, *network.maps_shape)
    with torch.no_grad():
        said = changed.network().eval().of_maps(maps)
        torch.testing.assert_close(said, network.of_maps(maps))
    assert changed.with_own_columns() is changed


@pytest.mark.slow
@pytest.mark.parametrize('pairs', [12, 28])
def test_model_file_holds_all_weights_for_any_number_of_pairs(tmp_path, network, pairs):
    contract = contract_for_any_array(
        FrontEnd(pair_count=pairs),
        -0.5,
        azimuth_grid(SHAPE.front, SHAPE.front_deg, SHAPE.around),
        RANGES,
    )
    detector = BearingDetector(network)
    export_any_array(detector, contract, tmp_path / 'model.onnx')
    shape = SHAPE.n_mels, SHAPE.front + SHAPE.around, 2 * pairs
    rng = np.random.default_rng(0)
    spectrogram = rng.normal(-50, 10, (8 + 2 * pairs, 80, 173)).astype(np.float32)
    spectrogram[8:] = rng.uniform(-0.5, 0.5, (2 * pairs, 80, 173))
    window = spectrogram, rng.uniform(-1, 1, shape).astype(np.float32) / pairs
    assert check_export(detector.float(), tmp_path / 'model.onnx', [window]) < 1e-4
    start = read_start_weights(tmp_path / 'model.onnx')
    assert (start.shape, start.ranges) == (SHAPE, RANGES)
    assert same_weights(start.network(), network)


def test_joined_ranges_cover_earlier_and_new_training():
    assert joined_ranges(None, RANGES) == RANGES
    smaller = replace(RANGES, aperture_m=(0.1, 0.5), live_microphones=(8.0, 8.0))
    assert joined_ranges(smaller, RANGES) == replace(RANGES, aperture_m=(0.1, 1.0))


def test_files_without_usable_weights_are_rejected_with_the_reason(tmp_path, network):
    (tmp_path / 'best.pt').write_bytes(b'no')
    with pytest.raises(AvdetError, match=r'best\.pt: expected a file of a run of any-array'):
        read_start_weights(tmp_path)
    (tmp_path / 'model.onnx').write_bytes(b'no')
    with pytest.raises(AvdetError, match=r'model\.onnx: expected an ONNX model'):
        read_start_weights(tmp_path / 'model.onnx')
    with pytest.raises(AvdetError, match="holds its network's sizes"):
        read_start_weights('models/octagon.onnx')
    other = saved_run(tmp_path / 'other', network)
    state = torch.load(other / 'best.pt', weights_only=True)
    state['shape']['deep'] = 16
    torch.save(state, other / 'best.pt')
    with pytest.raises(AvdetError, match='expected the weights of a bearing-first network'):
        read_start_weights(other)


def test_size_mismatch_error_names_the_size():
    with pytest.raises(AvdetError, match='start: width: expected 24, found 12'):
        check_same_shape('start', SHAPE, replace(SHAPE, width=24))
    check_same_shape('start', SHAPE, SHAPE)
