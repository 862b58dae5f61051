from __future__ import annotations

from copy import deepcopy
from functools import cache

import numpy as np
import onnx
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.boxes import box_iou
from avdet_ros.detection.contract import contract_for
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.boxes.postprocess import (
    CANDIDATES,
    MIN_SCORE,
    suppress,
)
from avdet_ros.training.networks.calibrated import StudentDetector
from avdet_ros.training.networks.grid_student import GridStudent
from avdet_ros.training.registries import STUDENTS
from avdet_ros.training.results.export import TOLERANCE, check_export, differences, export

GRIDS = {kind.name: kind for kind in STUDENTS.classes() if issubclass(kind, GridStudent)}


def windows(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        FrontEnd().compute((0.1 * rng.normal(size=(8, 44100))).astype(np.float32))
        for _ in range(count)
    ]


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """Detectors that predict many boxes, and their files; tests must not modify them."""

    @cache
    def exported(name):
        detector, path = many_boxes(name), tmp_path_factory.mktemp(name) / 'student.onnx'
        export(detector, contract_for(load_rig(), FrontEnd(), -0.5, recipe='a test'), path)
        return detector, path

    return exported


def many_boxes(name: str, seed: int = 0) -> StudentDetector:
    """Return a fresh network modified to predict many different boxes."""
    torch.manual_seed(seed)
    detector = StudentDetector(
        GRIDS[name](GRIDS[name].network(load_rig(), FrontEnd()), None)
    ).eval()
    with torch.no_grad():
        for branch in (detector.student.student.head.centre, detector.student.student.head.box):
            branch[-1].weight *= 30
        detector.student.student.head.centre[-1].bias.fill_(0)
    return detector


@pytest.mark.parametrize('name', GRIDS)
def test_torch_and_onnx_runtime_agree(name, exported):
    detector, path = exported(name)
    some = windows(3)
    worst, decided = check_export(detector, path, some)
    assert worst < TOLERANCE
    assert decided == len(some)
    assert path.stat().st_size < 25e6
    assert [item.name for item in path.parent.iterdir()] == ['student.onnx']
    boxes, scores, labels = detector(torch.from_numpy(some[0])[None])
    assert len(scores) > 3
    assert labels.dtype == torch.int64
    assert (scores.diff() <= 0).all()
    assert scores.min() > MIN_SCORE
    assert boxes.min() >= 0
    assert boxes.max() <= 1


def test_exported_file_gives_the_same_detections_in_the_runtime(exported):
    detector, path = exported('steered')
    (window,) = windows(1)
    found = Detector(path, load_rig(), FrontEnd()).detect(window)
    with torch.inference_mode():
        boxes, scores, _ = detector(torch.from_numpy(window)[None])
    np.testing.assert_allclose(found.boxes_px, boxes.numpy() * [1920, 650, 1920, 650], atol=0.2)
    np.testing.assert_allclose(found.scores, scores.numpy(), atol=1e-4)


def test_export_check_rejects_a_model_with_other_predictions(exported):
    detector, path = exported('steered')
    detector = deepcopy(detector)
    with torch.no_grad():
        detector.student.student.head.box[-1].bias += 0.01
    assert differences(detector, path, windows(1)).max() > TOLERANCE
    with pytest.raises(AvdetError, match=r'within 0\.0001 on 1 windows, found'):
        check_export(detector, path, windows(1))


def test_exported_graph_contains_the_suppression(exported):
    model = onnx.load(exported('steered')[1])
    assert 'NonMaxSuppression' in {node.op_type for node in model.graph.node}
    (given,) = model.graph.input
    assert [dim.dim_value for dim in given.type.tensor_type.shape.dim] == [1, 32, 80, 173]


def test_suppression_keeps_the_best_of_overlapping_boxes():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.8, (300, 2))
    boxes = torch.from_numpy(np.concatenate([low, low + 0.15], 1)).float()
    logits = torch.from_numpy(rng.normal(size=300)).float()
    kept, values = suppress(boxes, logits)
    overlap = box_iou(kept.numpy(), kept.numpy()) - np.eye(len(kept))
    assert overlap.max() <= 0.5
    assert len(kept) <= CANDIDATES
    assert values[0] == logits.max()
    assert (values.diff() <= 0).all()
